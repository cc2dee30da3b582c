#include "models/retrieval/kmeans.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include "tools/base/seed.h"

namespace melisma {
namespace {

constexpr std::int64_t kRowsAtOnce = 4096;  // bounds the table of distances

at::Tensor chosen_rows(const at::Tensor& rows, std::int64_t count, std::uint64_t seed, const char* stream) {
  auto order = RandomSource(seed_of(seed, stream)).permutation(rows.size(0));
  order.resize(static_cast<std::size_t>(count));
  return rows.index_select(0, at::tensor(order, at::kLong));
}

// Centres of no row move to where most rows are: a hair beside that centre, one to each side of it.
void refill_empty(at::Tensor& centres, at::Tensor& counts) {
  constexpr float kHair = 1.0F / 1024;
  auto* count = counts.data_ptr<float>();
  const auto n = counts.size(0);
  for (std::int64_t i = 0; i < n; ++i) {
    if (count[i] > 0) continue;
    const auto largest = std::max_element(count, count + n) - count;
    const auto moved = centres.select(0, largest) * kHair;
    centres.select(0, i).copy_(centres.select(0, largest)).add_(moved);
    centres.select(0, largest).sub_(moved);
    count[i] = count[largest] / 2;
    count[largest] -= count[i];
  }
}

}  // namespace

at::Tensor nearest_centres(const at::Tensor& rows, const at::Tensor& centres) {
  const c10::NoGradGuard no_grad;
  const auto squares = centres.square().sum(1);  // |x - c|^2 orders as |c|^2 - 2 x c
  std::vector<at::Tensor> parts;
  for (std::int64_t first = 0; first < rows.size(0); first += kRowsAtOnce) {
    const auto part = rows.slice(0, first, first + kRowsAtOnce);
    parts.push_back(at::addmm(squares, part, centres.t(), 1, -2).argmin(1));
  }
  return parts.empty() ? at::empty({0}, at::kLong) : at::cat(parts);
}

at::Tensor kmeans(const at::Tensor& rows, const KmeansSettings& settings, const std::function<void(double)>& progress) {
  const c10::NoGradGuard no_grad;
  auto used = rows.to(at::kFloat).contiguous();
  const auto most = settings.points_per_centre * settings.centres;
  if (most > 0 && used.size(0) > most) used = chosen_rows(used, most, settings.seed, "kmeans/sample");
  auto centres = chosen_rows(used, settings.centres, settings.seed, "kmeans/centres");
  for (std::int64_t i = 0; i < settings.iterations; ++i) {
    const auto nearest = nearest_centres(used, centres);
    auto counts = at::zeros({settings.centres}).index_add_(0, nearest, at::ones({used.size(0)}));
    centres = at::zeros_like(centres).index_add_(0, nearest, used).div_(counts.clamp_min(1).unsqueeze(1));
    refill_empty(centres, counts);
    if (progress) progress(static_cast<double>(i + 1) / static_cast<double>(settings.iterations));
  }
  return centres;
}

}  // namespace melisma
