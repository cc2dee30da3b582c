// Several tensors into one: weighted sums, added differences, ways over the sphere, TIES.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace melisma {

// Below, tensors of one call have one shape, and there is a weight for each; Error(internal) otherwise. Sums run in
// double and results are double, so that they are rounded once, by whoever stores them. Spheres are those of the
// flattened tensors.

// sum w_i t_i. Tensors of weight 0 are not looked at; sum_type float adds in float32 from left to right.
[[nodiscard]] at::Tensor weighted_sum(std::span<const at::Tensor> tensors, std::span<const double> weights,
                                      at::ScalarType sum_type = at::kDouble);

// From a (t = 0) to b (t = 1) along the arc between their directions: (sin((1 - t) w) a + sin(t w) b) / sin w with
// cos w their cosine. The straight line where they are parallel, |cos w| > 0.9995, or one of them is zero.
[[nodiscard]] at::Tensor slerp(const at::Tensor& a, const at::Tensor& b, double t);

struct SphericalMeanSettings {
  std::int64_t most_steps = 200;
  double tolerance = 1e-12;  // of a step, in radians
};
// The Riemannian centre of mass (Karcher 1977) of the directions, as long as the weighted mean of their lengths: what
// slerp is for two, for any number. weights >= 0 with sum 1. Zero tensors only shorten it. Nothing where the directions
// do not lie in one open half-sphere around it, so that there may be several such centres or none.
[[nodiscard]] std::optional<at::Tensor> spherical_mean(std::span<const at::Tensor> tensors,
                                                       std::span<const double> weights,
                                                       const SphericalMeanSettings& settings = {});

struct TiesSettings {
  std::vector<double> densities;  // share of each difference that is kept: the int(density n) largest, at least one
  double scale = 1;               // of what is added to the base
  bool normalise = true;          // divide by the weights that agree
};
// TIES (Yadav et al. 2023): of each difference t_i - base the largest entries are kept, each entry gets the sign of its
// weighted sum (0 counts as +), and those that agree with it are averaged. Of equal magnitudes the earlier is kept.
[[nodiscard]] at::Tensor ties(const at::Tensor& base, std::span<const at::Tensor> tensors,
                              std::span<const double> weights, const TiesSettings& settings);

// How models become one.
struct MergeRecipe {
  std::vector<double> weights;            // as merge_weights gives them
  double density = 1;                     // of ties
  at::ScalarType sum_type = at::kDouble;  // of sum and add-difference
};

struct Merged {
  at::Tensor tensor;         // in sum_type
  bool is_fallback = false;  // the method is not defined for these tensors; this is their weighted sum
};

struct MergeMethod {
  std::string_view name, summary;
  std::size_t least_models, most_models;  // most_models 0 = any number
  std::size_t models_without_weight;      // the first ones, or what is subtracted
  bool normalises;                        // weights are made to sum to 1 unless they are asked for as they are
  Merged (*merge)(std::span<const at::Tensor> tensors, const MergeRecipe& recipe);
};
[[nodiscard]] Merged merge_by_sum(std::span<const at::Tensor> tensors, const MergeRecipe& recipe);
[[nodiscard]] Merged merge_by_difference(std::span<const at::Tensor> tensors, const MergeRecipe& recipe);
[[nodiscard]] Merged merge_by_slerp(std::span<const at::Tensor> tensors, const MergeRecipe& recipe);
[[nodiscard]] Merged merge_by_spherical_mean(std::span<const at::Tensor> tensors, const MergeRecipe& recipe);
[[nodiscard]] Merged merge_by_ties(std::span<const at::Tensor> tensors, const MergeRecipe& recipe);
inline constexpr std::array<MergeMethod, 5> kMergeMethods{{
    {"sum", "weighted sum of any number of models", 2, 0, 0, true, &merge_by_sum},
    {"add-difference", "A + w (B - C): what B learned since C, added to A", 3, 3, 2, false, &merge_by_difference},
    {"slerp", "along the arc between two models, tensor by tensor", 2, 2, 0, true, &merge_by_slerp},
    {"karcher", "centre of any number of models on the sphere, tensor by tensor", 2, 0, 0, true,
     &merge_by_spherical_mean},
    {"ties", "A + what the others learned since A, where they agree in sign", 2, 0, 1, false, &merge_by_ties},
}};

// The weights of a method for n models, of those given: none = equal ones (1 each where they are not normalised), one
// number t for two weights = 1 - t and t; normalised if the method does and `normalise`. Error(usage) that says how
// many are expected, or why they cannot be used.
[[nodiscard]] std::vector<double> merge_weights(const MergeMethod& method, std::vector<double> given,
                                                std::size_t n_models, bool normalise);

}  // namespace melisma
