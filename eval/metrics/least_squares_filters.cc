#include "eval/metrics/least_squares_filters.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "tools/base/error.h"

namespace melisma {
namespace filter_fit {
namespace {

constexpr int64_t kBlocksAtOnce = 32;

// Transforms are long against the lags, so that little of each is margin.
int64_t transform_length(int64_t taps, int64_t n_samples) {
  int64_t length = 64;
  while (length < 16 * taps && length < n_samples + 2 * taps) length *= 2;
  return std::max<int64_t>(length, 4);
}

}  // namespace
}  // namespace filter_fit

at::Tensor correlations(const at::Tensor& a, const at::Tensor& b, int64_t taps) {
  const auto n_samples = a.size(1), margin = taps - 1;
  auto length = filter_fit::transform_length(taps, n_samples);
  const auto block = length - 2 * margin;  // of a; the same stretch of b and the margins around it make a transform
  const auto n_blocks = (n_samples + block - 1) / block;
  at::Tensor sum;  // [bins, A, B]
  for (int64_t first = 0; first < n_blocks; first += filter_fit::kBlocksAtOnce) {
    const auto count = std::min(filter_fit::kBlocksAtOnce, n_blocks - first);
    const auto stretch = [&](const at::Tensor& x, int64_t around) {  // [signals, count, block + 2 around]
      const auto begin = first * block - around, end = (first + count) * block + around;
      const auto inside = x.slice(1, std::max<int64_t>(begin, 0), std::min(end, n_samples));
      const auto padded = at::constant_pad_nd(
          inside, {std::max<int64_t>(-begin, 0), std::max<int64_t>(end - std::max(n_samples, begin), 0)});
      return padded.unfold(1, block + 2 * around, block);
    };
    const auto left = at::fft_rfft(stretch(a, 0), length).permute({2, 0, 1}).conj();  // [bins, A, count]
    const auto right = at::fft_rfft(stretch(b, margin), length).permute({2, 1, 0});   // [bins, count, B]
    const auto product = at::bmm(left.resolve_conj(), right.contiguous());
    sum = sum.defined() ? sum.add_(product) : product;
  }
  return at::fft_irfft(sum, length, 0).slice(0, 0, 2 * margin + 1).permute({1, 2, 0}).contiguous();
}

NormalEquations normal_equations(const at::Tensor& signals, const at::Tensor& targets, int64_t taps) {
  const auto n = signals.size(0);
  const auto lagged = correlations(signals, at::cat({signals, targets}), taps);  // [A, A + E, 2 taps - 1]
  // Row d, column e of a block is the correlation at lag d - e.
  const auto blocks = lagged.slice(1, 0, n).unfold(2, taps, 1).flip({3});  // [A, A, taps, taps]
  NormalEquations equations;
  equations.taps = taps;
  equations.gram = blocks.permute({0, 2, 1, 3}).reshape({n * taps, n * taps});
  equations.moment = lagged.slice(1, n).slice(2, taps - 1).permute({0, 2, 1}).reshape({n * taps, targets.size(0)});
  return equations;
}

NormalEquations NormalEquations::part(int64_t first, int64_t count, int64_t first_target, int64_t n_targets) const {
  const auto begin = first * taps, end = (first + count) * taps;
  return {taps, gram.slice(0, begin, end).slice(1, begin, end),
          moment.slice(0, begin, end).slice(1, first_target, first_target + n_targets)};
}

at::Tensor NormalEquations::solve() const {
  const auto mean = gram.diagonal().mean().item<double>();
  if (mean == 0) return at::zeros_like(moment);
  auto system = gram.clone();
  double added = 0;
  for (double ridge = 0; ridge <= 1e-6; ridge = ridge == 0 ? 1e-14 : 10 * ridge) {
    system.diagonal().add_((ridge - added) * mean);
    added = ridge;
    const auto [triangle, info] = at::linalg_cholesky_ex(system);
    if (info.item<int64_t>() == 0) return at::cholesky_solve(moment, triangle);
  }
  fail(ErrorKind::internal, "least-squares filters: the system of {} unknowns is not positive", gram.size(0));
}

}  // namespace melisma
