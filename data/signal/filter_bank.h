// A bank of FIR filters over a signal of any length, block by block through the FFT.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace melisma {

// One filter: out[i] = sum over k of taps[k] * signal[i + advance - k], zeros outside the signal.
struct FirFilter {
  std::vector<double> taps;
  std::int64_t advance = 0;  // samples the output is moved forward, so that it lines up with the input
};

class FilterBank {
 public:
  // A block is at least min_block output samples long; the transform's size, a power of two, decides.
  FilterBank(std::span<const FirFilter> filters, std::int64_t min_block);

  [[nodiscard]] std::int64_t block() const { return block_; }

  // out[first ... first + block) of every filter, in their order: use(filter, samples [block]). The signal comes from
  // read(number of the first sample, where to write them), zeros outside it. May be called by several threads at a
  // time.
  using Read = std::function<void(std::int64_t first, std::span<double> samples)>;
  using Use = std::function<void(std::int64_t filter, const double* samples)>;
  void apply(const Read& read, std::int64_t first, const Use& use) const;

 private:
  std::int64_t n_filters_ = 0;
  std::int64_t block_ = 0, n_fft_ = 0;
  std::int64_t before_ = 0;  // samples before a block that reach into it
  at::Tensor spectra_;       // [n_filters, n_fft/2 + 1] complex double; each filter's delay taken out
};

}  // namespace melisma
