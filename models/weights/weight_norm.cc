#include "models/weights/weight_norm.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <unordered_set>

#include "tools/base/error.h"

namespace melisma {
namespace weight_norm_detail {
namespace {

constexpr std::string_view kNewG = ".parametrizations.weight.original0";
constexpr std::string_view kNewV = ".parametrizations.weight.original1";
constexpr std::string_view kG = ".weight_g";
constexpr std::string_view kV = ".weight_v";

std::string with_ending(const std::string& name, std::string_view ending, std::string_view replacement) {
  return name.substr(0, name.size() - ending.size()).append(replacement);
}

std::string plain_name(const std::string& name) {
  if (name.ends_with(kNewG)) return with_ending(name, kNewG, kG);
  if (name.ends_with(kNewV)) return with_ending(name, kNewV, kV);
  return name;
}

// The one dimension g keeps; 0 if it has a single element.
std::int64_t kept_dimension(const at::Tensor& g) {
  for (std::int64_t d = 0; d < g.dim(); ++d) {
    if (g.size(d) != 1) return d;
  }
  return 0;
}

}  // namespace
}  // namespace weight_norm_detail

StateDict with_plain_weight_norm_names(StateDict weights) {
  StateDict renamed;
  for (const auto& [name, tensor] : weights) renamed.add(weight_norm_detail::plain_name(name), tensor);
  return renamed;
}

at::Tensor fold_weight_norm(const at::Tensor& g, const at::Tensor& v) {
  const auto dimension = weight_norm_detail::kept_dimension(g);
  if (g.dim() != v.dim() || g.numel() != v.size(dimension)) {
    fail(ErrorKind::checkpoint, "a weight norm of [{}] does not belong to a direction of [{}]",
         fmt::join(g.sizes(), ","), fmt::join(v.sizes(), ","));
  }
  return at::_weight_norm(v.to(at::kFloat), g.to(at::kFloat), dimension);
}

std::vector<std::string> folded_names(const StateDict& weights) {
  using namespace weight_norm_detail;
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  for (const auto& [name, tensor] : weights) {
    const bool is_half = name.ends_with(kG) || name.ends_with(kV);
    auto whole = is_half ? name.substr(0, name.size() - kG.size()) + ".weight" : name;
    if (seen.insert(whole).second) names.push_back(std::move(whole));
  }
  return names;
}

at::Tensor folded_weight(const StateDict& weights, const std::string& name) {
  return weights.contains(name) ? weights.at(name) : fold_weight_norm(weights.at(name + "_g"), weights.at(name + "_v"));
}

StateDict fold_weight_norm(const StateDict& weights) {
  StateDict folded;
  for (const auto& name : folded_names(weights)) folded.add(name, folded_weight(weights, name));
  return folded;
}

StateDict unfold_weight_norm(const StateDict& weights, const StateDict& expected) {
  using namespace weight_norm_detail;
  StateDict unfolded;
  for (const auto& [name, tensor] : weights) {
    const auto base = name.ends_with(".weight") ? with_ending(name, ".weight", "") : std::string();
    const auto g = base + std::string(kG), v = base + std::string(kV);
    if (base.empty() || expected.contains(name) || !expected.contains(g) || !expected.contains(v)) {
      unfolded.add(name, tensor);
      continue;
    }
    const auto whole = tensor.to(at::kFloat);
    auto others = std::vector<std::int64_t>();
    const auto kept = kept_dimension(expected.at(g));
    for (std::int64_t d = 0; d < whole.dim(); ++d) {
      if (d != kept) others.push_back(d);
    }
    unfolded.add(g, at::linalg_vector_norm(whole, 2, others, /*keepdim=*/true));
    unfolded.add(v, whole);
  }
  return unfolded;
}

}  // namespace melisma
