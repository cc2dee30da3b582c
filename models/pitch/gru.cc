#include "models/pitch/gru.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/signal/vector.h"

namespace melisma {
namespace gru_detail {
namespace {

constexpr std::int64_t kBlockFrames = 1024;  // whose gates are prepared at once

// out [n] = bias + sum over k of state[k] * columns[k][0 ... n): row by row, so that neighbours in memory are
// neighbours in the sum and no sum is reordered.
MELISMA_CLONES void add_columns(const float* columns, const float* bias, const float* state, std::int64_t n_states,
                                std::int64_t n, float* out) {
  std::copy(bias, bias + n, out);
  std::int64_t k = 0;
  for (; k + 4 <= n_states; k += 4) {
    const auto *a = columns + k * n, *b = a + n, *c = b + n, *d = c + n;
    const auto sa = state[k], sb = state[k + 1], sc = state[k + 2], sd = state[k + 3];
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] += sa * a[i] + sb * b[i] + (sc * c[i] + sd * d[i]);
  }
  for (; k < n_states; ++k) {
    for (std::int64_t i = 0; i < n; ++i) out[i] += state[k] * columns[k * n + i];
  }
}

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

}  // namespace
}  // namespace gru_detail

GruDirection::GruDirection(std::int64_t in, std::int64_t hidden, const std::string& prefix, const std::string& suffix,
                           NamedWeights& weights)
    : input_weight_(weights.take(prefix + "weight_ih_l" + suffix, {3 * hidden, in}).clone()),
      recurrent_columns_(weights.take(prefix + "weight_hh_l" + suffix, {3 * hidden, hidden}).t().contiguous()) {
  input_bias_ = weights.take(prefix + "bias_ih_l" + suffix, {3 * hidden}).clone();
  recurrent_bias_ = weights.take(prefix + "bias_hh_l" + suffix, {3 * hidden}).clone();
}

at::Tensor GruDirection::operator()(const at::Tensor& x, bool backwards) const {
  const auto frames = x.size(0), hidden = recurrent_columns_.size(0);
  auto states = at::empty({frames, hidden}, at::kFloat);
  std::vector<float> state(static_cast<std::size_t>(hidden));
  for (std::int64_t done = 0; done < frames; done += gru_detail::kBlockFrames) {
    const auto count = std::min(gru_detail::kBlockFrames, frames - done);
    const auto first = backwards ? frames - done - count : done;
    run_block(x.narrow(0, first, count), backwards, state, states.data_ptr<float>() + first * hidden);
  }
  return states;
}

// x [T, in] of some consecutive frames; `state` before them becomes the state after them.
void GruDirection::run_block(const at::Tensor& x, bool backwards, std::vector<float>& state, float* states) const {
  const auto frames = x.size(0), hidden = recurrent_columns_.size(0);
  const auto from_input = at::linear(x, input_weight_, input_bias_).contiguous();  // [T, 3 H]
  std::vector<float> gates(static_cast<std::size_t>(3 * hidden));
  for (std::int64_t step = 0; step < frames; ++step) {
    const auto t = backwards ? frames - 1 - step : step;
    gru_detail::add_columns(recurrent_columns_.const_data_ptr<float>(), recurrent_bias_.const_data_ptr<float>(),
                            state.data(), hidden, 3 * hidden, gates.data());
    const auto* given = from_input.const_data_ptr<float>() + t * 3 * hidden;
    for (std::int64_t i = 0; i < hidden; ++i) {
      const auto reset = gru_detail::sigmoid(given[i] + gates[i]);
      const auto update = gru_detail::sigmoid(given[hidden + i] + gates[hidden + i]);
      const auto fresh = std::tanh(given[2 * hidden + i] + reset * gates[2 * hidden + i]);
      state[i] = (1 - update) * fresh + update * state[i];
    }
    std::copy(state.begin(), state.end(), states + t * hidden);
  }
}

BidirectionalGruLayer::BidirectionalGruLayer(std::int64_t in, std::int64_t hidden, std::int64_t index,
                                             const std::string& prefix, NamedWeights& weights)
    : forwards_(in, hidden, prefix, std::to_string(index), weights),
      backwards_(in, hidden, prefix, std::to_string(index) + "_reverse", weights) {}

at::Tensor BidirectionalGruLayer::operator()(const at::Tensor& x) const {
  return at::cat({forwards_(x, /*backwards=*/false), backwards_(x, /*backwards=*/true)}, 1);
}

}  // namespace melisma
