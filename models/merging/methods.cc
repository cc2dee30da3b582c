// The rows of kMergeMethods, and the weights people give them.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/merging/merge.h"
#include "tools/base/error.h"

namespace melisma {
namespace merge_methods {
namespace {

void check_weights(const MergeMethod& method, const std::vector<double>& weights, std::size_t expected) {
  if (weights.size() != expected) {
    fail(ErrorKind::usage, "{} takes {} {} for these models, {} {} given: {}", method.name, expected,
         expected == 1 ? "weight" : "weights", weights.size(), weights.size() == 1 ? "is" : "are",
         fmt::join(weights, ", "));
  }
  const bool is_sphere = method.name == "slerp" || method.name == "karcher";
  for (const auto weight : weights) {
    if (!std::isfinite(weight)) fail(ErrorKind::usage, "a weight is {}; finite numbers are expected", weight);
    if (is_sphere && weight < 0) {
      fail(ErrorKind::usage, "{} takes no weight below 0 ({} was given): it stays between the models; use sum",
           method.name, weight);
    }
  }
}

}  // namespace
}  // namespace merge_methods

Merged merge_by_sum(std::span<const at::Tensor> tensors, const MergeRecipe& recipe) {
  return {weighted_sum(tensors, recipe.weights, recipe.sum_type)};
}

Merged merge_by_difference(std::span<const at::Tensor> tensors, const MergeRecipe& recipe) {
  const auto w = recipe.weights.front();
  return {weighted_sum(tensors, std::vector<double>{1, w, -w}, recipe.sum_type)};
}

Merged merge_by_slerp(std::span<const at::Tensor> tensors, const MergeRecipe& recipe) {
  return {slerp(tensors[0], tensors[1], recipe.weights[1])};
}

Merged merge_by_spherical_mean(std::span<const at::Tensor> tensors, const MergeRecipe& recipe) {
  auto mean = spherical_mean(tensors, recipe.weights);
  if (mean) return {*std::move(mean)};
  return {weighted_sum(tensors, recipe.weights), /*is_fallback=*/true};
}

Merged merge_by_ties(std::span<const at::Tensor> tensors, const MergeRecipe& recipe) {
  const auto others = tensors.subspan(1);
  return {
      ties(tensors.front(), others, recipe.weights, {.densities = std::vector<double>(others.size(), recipe.density)})};
}

std::vector<double> merge_weights(const MergeMethod& method, std::vector<double> given, std::size_t n_models,
                                  bool normalise) {
  if (n_models < method.least_models || (method.most_models > 0 && n_models > method.most_models)) {
    fail(ErrorKind::usage, "{} takes {}{} models, {} {} given{}", method.name,
         method.most_models == method.least_models ? "" : "at least ", method.least_models, n_models,
         n_models == 1 ? "is" : "are", method.name == "slerp" && n_models > 2 ? "; karcher takes more" : "");
  }
  const auto expected = n_models - method.models_without_weight;
  if (given.empty()) given.assign(expected, method.normalises ? 1.0 / static_cast<double>(expected) : 1.0);
  if (given.size() == 1 && expected == 2 && method.normalises) given = {1 - given.front(), given.front()};
  merge_methods::check_weights(method, given, expected);
  const bool always = method.name == "slerp" || method.name == "karcher";  // a way over the sphere has no other meaning
  if (!method.normalises || !(normalise || always)) return given;
  const auto sum = std::accumulate(given.begin(), given.end(), 0.0);
  if (!(sum > 0)) {
    fail(ErrorKind::usage, "the weights {} sum to {}, which cannot be made 1; leave them as they are with --as-given",
         fmt::join(given, ", "), sum);
  }
  if (sum != 1) std::ranges::for_each(given, [sum](double& weight) { weight /= sum; });
  return given;
}

}  // namespace melisma
