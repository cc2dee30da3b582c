// The short filters that bring signals closest to others, from their correlations.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

// sum over n of a_i[n] b_j[n + lag], lag = 1 - taps ... taps - 1. a [A, N], b [B, N] double -> [A, B, 2 taps - 1]. In
// blocks, so that memory does not grow with N.
[[nodiscard]] at::Tensor correlations(const at::Tensor& a, const at::Tensor& b, int64_t taps);

// What least squares needs of A signals to be filtered and E targets, both [., N] double.
struct NormalEquations {
  int64_t taps = 0;
  at::Tensor gram;    // [A taps, A taps]: products of the signals and their delays
  at::Tensor moment;  // [A taps, E]: products of those with the targets

  // The same for signals [first, first + count) and targets [first_target, first_target + n_targets).
  [[nodiscard]] NormalEquations part(int64_t first, int64_t count, int64_t first_target, int64_t n_targets) const;
  // Filters [A taps, E], row a taps + d the factor of signal a delayed by d. A singular system (silent or band-limited
  // signals) is solved with the least ridge that makes it positive: 1e-14 of the mean diagonal or a little more.
  [[nodiscard]] at::Tensor solve() const;
};
[[nodiscard]] NormalEquations normal_equations(const at::Tensor& signals, const at::Tensor& targets, int64_t taps);

}  // namespace melisma
