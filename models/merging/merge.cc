#include "models/merging/merge.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tools/base/error.h"

namespace melisma {
namespace merge_detail {
namespace {

constexpr double kParallel = 0.9995;  // |cosine| above which an arc is a straight line

void check_inputs(std::span<const at::Tensor> tensors, std::size_t n_weights) {
  if (tensors.empty() || tensors.size() != n_weights) {
    fail(ErrorKind::internal, "{} weights for {} tensors", n_weights, tensors.size());
  }
  for (const auto& tensor : tensors) {
    if (tensor.sizes() != tensors.front().sizes()) fail(ErrorKind::internal, "tensors of different shapes");
  }
}

double norm_of(const at::Tensor& t) { return at::linalg_vector_norm(t).item<double>(); }
double dot_of(const at::Tensor& a, const at::Tensor& b) { return (a * b).sum().item<double>(); }

// Directions of the tensors that have one, with their weights made to sum to 1.
struct Directions {
  std::vector<at::Tensor> units;  // double
  std::vector<double> weights;
  double length = 0;  // weighted mean of all lengths
};

Directions directions_of(std::span<const at::Tensor> tensors, std::span<const double> weights) {
  Directions directions;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto tensor = tensors[i].to(at::kDouble);
    const auto length = norm_of(tensor);
    if (length == 0 || weights[i] == 0) continue;
    directions.units.push_back(tensor / length);
    directions.weights.push_back(weights[i]);
    directions.length += weights[i] * length;
  }
  const auto sum = std::accumulate(directions.weights.begin(), directions.weights.end(), 0.0);
  for (auto& weight : directions.weights) weight /= sum;
  return directions;
}

// The mean of the directions as seen from `centre`: where to go from there, [shape], and how far each is.
at::Tensor step_from(const at::Tensor& centre, const Directions& directions) {
  auto step = at::zeros_like(centre);
  for (std::size_t i = 0; i < directions.units.size(); ++i) {
    const auto cosine = std::clamp(dot_of(centre, directions.units[i]), -1.0, 1.0);
    const auto across = directions.units[i] - centre * cosine;  // of length sin(angle)
    const auto sine = norm_of(across);
    if (sine > 0) step += across * (directions.weights[i] * std::atan2(sine, cosine) / sine);
  }
  return step;
}

// The `count` largest magnitudes of `difference`, the rest zero; of equal ones the earlier.
at::Tensor trimmed(const at::Tensor& difference, double density) {
  const auto flat = difference.flatten();
  const auto count =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(density * static_cast<double>(flat.numel())), 1, flat.numel());
  const auto order = std::get<1>(flat.abs().sort(/*stable=*/true, /*dim=*/0, /*descending=*/true)).narrow(0, 0, count);
  return at::zeros_like(flat).index_copy_(0, order, flat.index_select(0, order)).view_as(difference);
}

}  // namespace
}  // namespace merge_detail

at::Tensor weighted_sum(std::span<const at::Tensor> tensors, std::span<const double> weights, at::ScalarType sum_type) {
  merge_detail::check_inputs(tensors, weights.size());
  at::Tensor sum;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (weights[i] == 0) continue;
    const auto term = tensors[i].to(sum_type) * weights[i];
    sum = sum.defined() ? sum + term : term;
  }
  return sum.defined() ? sum : at::zeros_like(tensors.front(), at::TensorOptions(sum_type));
}

at::Tensor slerp(const at::Tensor& a, const at::Tensor& b, double t) {
  using namespace merge_detail;
  const auto x = a.to(at::kDouble), y = b.to(at::kDouble);
  const auto lengths = norm_of(x) * norm_of(y);
  const auto cosine = lengths == 0 ? 1.0 : dot_of(x, y) / lengths;
  if (std::abs(cosine) > kParallel) return x * (1 - t) + y * t;
  const auto angle = std::acos(cosine);
  return x * (std::sin((1 - t) * angle) / std::sin(angle)) + y * (std::sin(t * angle) / std::sin(angle));
}

std::optional<at::Tensor> spherical_mean(std::span<const at::Tensor> tensors, std::span<const double> weights,
                                         const SphericalMeanSettings& settings) {
  using namespace merge_detail;
  check_inputs(tensors, weights.size());
  const auto directions = directions_of(tensors, weights);
  if (directions.units.empty()) return at::zeros_like(tensors.front(), at::kDouble);
  auto centre = weighted_sum(directions.units, directions.weights);
  if (norm_of(centre) < 1e-6) return std::nullopt;
  centre /= norm_of(centre);
  for (std::int64_t i = 0; i < settings.most_steps; ++i) {
    const auto step = step_from(centre, directions);
    const auto angle = norm_of(step);
    if (angle < settings.tolerance) break;
    centre = centre * std::cos(angle) + step * (std::sin(angle) / angle);
    centre /= norm_of(centre);
  }
  for (const auto& unit : directions.units) {
    if (dot_of(centre, unit) <= 0) return std::nullopt;
  }
  return centre * directions.length;
}

at::Tensor ties(const at::Tensor& base, std::span<const at::Tensor> tensors, std::span<const double> weights,
                const TiesSettings& settings) {
  using namespace merge_detail;
  check_inputs(tensors, weights.size());
  check_inputs(tensors, settings.densities.size());
  const auto origin = base.to(at::kDouble);
  std::vector<at::Tensor> weighted;
  auto sum = at::zeros_like(origin);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    weighted.push_back(trimmed(tensors[i].to(at::kDouble) - origin, settings.densities[i]) * weights[i]);
    sum += weighted.back();
  }
  const auto sign = at::where(sum >= 0, at::ones_like(sum), -at::ones_like(sum));
  auto agreeing = at::zeros_like(origin), agreeing_weight = at::zeros_like(origin);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto agrees = weighted[i].sign().eq(sign);
    agreeing += weighted[i] * agrees;
    agreeing_weight += agrees.to(at::kDouble) * weights[i];
  }
  if (settings.normalise) agreeing /= at::where(agreeing_weight == 0, at::ones_like(origin), agreeing_weight);
  return origin + agreeing * settings.scale;
}

}  // namespace melisma
