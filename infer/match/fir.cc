#include "infer/match/fir.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/signal/vector.h"
#include "infer/match/share_out.h"

namespace melisma {
namespace match_fir_detail {
namespace {

constexpr std::int64_t kBlocksATask = 4, kTasksAWave = 4;

double* numbers_of(const at::Tensor& complex) {
  return reinterpret_cast<double*>(complex.data_ptr<c10::complex<double>>());
}

// z [2 n] one transform of left + i right -> that of both after the filters: A z + B i conj(mirrored z), where A is
// half the sum and B half the difference of the two filters' transforms.
MELISMA_CLONES void filter_spectrum(double* z, const double* sum, const double* difference, std::int64_t n) {
  for (std::int64_t k = 0; k <= n / 2; ++k) {
    const auto m = k == 0 ? 0 : n - k;
    const double zr = z[2 * k], zi = z[2 * k + 1], wr = z[2 * m], wi = z[2 * m + 1];
    const double ar = sum[2 * k], ai = sum[2 * k + 1], br = difference[2 * k], bi = difference[2 * k + 1];
    z[2 * k] = ar * zr - ai * zi + br * wi - bi * wr;
    z[2 * k + 1] = ar * zi + ai * zr + br * wr + bi * wi;
    // The filters are real: their transforms at the mirrored bin are the conjugates.
    z[2 * m] = ar * wr + ai * wi + br * zi + bi * zr;
    z[2 * m + 1] = ar * wi - ai * wr + br * zr - bi * zi;
  }
}

MELISMA_CLONES void interleave(const double* left, const double* right, std::int64_t n, double* out) {
  for (std::int64_t i = 0; i < n; ++i) out[2 * i] = left[i], out[2 * i + 1] = right[i];
}

class BlockFilter {
 public:
  BlockFilter(StereoSignal& signal, std::span<const double> mid_taps, std::span<const double> side_taps)
      : signal_(signal),
        n_taps_(static_cast<std::int64_t>(mid_taps.size())),
        n_(4 * n_taps_),
        yield_(n_ - n_taps_ + 1) {
    share_out(2, [&](std::int64_t which) {
      const double side_sign = which == 0 ? 1 : -1;
      auto taps = at::zeros({n_}, at::kComplexDouble);
      for (std::int64_t t = 0; t < n_taps_; ++t) {
        const auto i = static_cast<std::size_t>(t);
        numbers_of(taps)[2 * t] = 0.5 * (mid_taps[i] + side_sign * side_taps[i]) / static_cast<double>(n_);
      }
      (which == 0 ? sum_ : difference_) = at::_fft_c2c(taps, {0}, 0, true);
    });
  }

  void run() {
    const auto n_frames = signal_.n_frames(), a_wave = kTasksAWave * kBlocksATask * yield_;
    std::vector<at::Tensor> work(static_cast<std::size_t>(kTasksAWave));
    past_left_.assign(static_cast<std::size_t>(n_taps_ / 2), 0);
    past_right_ = past_left_;
    for (std::int64_t first = 0; first < n_frames; first += a_wave) {
      const auto n_blocks = std::min(kTasksAWave * kBlocksATask, (n_frames - first + yield_ - 1) / yield_);
      const auto n_tasks = (n_blocks + kBlocksATask - 1) / kBlocksATask;
      share_out(n_tasks, [&](std::int64_t task) {
        const c10::NoGradGuard no_grad;
        const auto blocks = std::min(kBlocksATask, n_blocks - task * kBlocksATask);
        work[static_cast<std::size_t>(task)] = filtered(first, task * kBlocksATask, blocks);
      });
      keep_past(first, a_wave);
      share_out(n_tasks,
                [&](std::int64_t task) { put(work[static_cast<std::size_t>(task)], first, task * kBlocksATask); });
    }
  }

 private:
  // [blocks, n] of the wave that begins at frame `first`, from its block number `block` on.
  at::Tensor filtered(std::int64_t first, std::int64_t block, std::int64_t blocks) const {
    auto samples = at::empty({blocks, n_}, at::kComplexDouble);
    for (std::int64_t b = 0; b < blocks; ++b) gather(first, (block + b) * yield_, numbers_of(samples) + 2 * b * n_);
    const auto spectra = at::_fft_c2c(samples, {1}, 0, true);
    for (std::int64_t b = 0; b < blocks; ++b) {
      filter_spectrum(numbers_of(spectra) + 2 * b * n_, numbers_of(sum_), numbers_of(difference_), n_);
    }
    return at::_fft_c2c(spectra, {1}, 0, false);
  }

  // What the block at `offset` of the wave hears: n frames from half a filter before it; those before the wave are kept
  // in past_.
  void gather(std::int64_t first, std::int64_t offset, double* out) const {
    const auto half = n_taps_ / 2, begin = first + offset - half, n_frames = signal_.n_frames();
    const auto n_past = std::clamp<std::int64_t>(first - begin, 0, n_),
               n_there = std::clamp(n_frames - begin, n_past, n_);
    const auto kept = static_cast<std::size_t>(n_past > 0 ? begin - first + half : 0);
    interleave(past_left_.data() + kept, past_right_.data() + kept, n_past, out);
    const auto at = begin + n_past;
    interleave(signal_.left.data() + at, signal_.right.data() + at, n_there - n_past, out + 2 * n_past);
    std::fill(out + 2 * n_there, out + 2 * n_, 0.0);
  }

  void keep_past(std::int64_t first, std::int64_t a_wave) {
    const auto half = n_taps_ / 2, begin = first + a_wave - half;
    if (begin + half > signal_.n_frames()) return;  // this wave was the last one
    std::copy_n(signal_.left.begin() + begin, half, past_left_.begin());
    std::copy_n(signal_.right.begin() + begin, half, past_right_.begin());
  }

  void put(const at::Tensor& filtered, std::int64_t first, std::int64_t block) {
    for (std::int64_t b = 0; b < filtered.size(0); ++b) {
      const double* from = numbers_of(filtered) + 2 * (b * n_ + n_taps_ - 1);
      const auto at = first + (block + b) * yield_, count = std::min(yield_, signal_.n_frames() - at);
      double *left = signal_.left.data() + at, *right = signal_.right.data() + at;
      for (std::int64_t i = 0; i < count; ++i) left[i] = from[2 * i], right[i] = from[2 * i + 1];
    }
  }

  StereoSignal& signal_;
  std::int64_t n_taps_, n_, yield_;  // frames a transform takes, and those of them that come out
  at::Tensor sum_, difference_;
  std::vector<double> past_left_, past_right_;  // half a filter before the wave
};

}  // namespace
}  // namespace match_fir_detail

std::vector<double> linear_phase_taps(std::span<const double> gains) {
  const auto n = static_cast<std::int64_t>(gains.size() - 1) * 2;
  auto spectrum = at::zeros({n / 2 + 1}, at::kComplexDouble);
  for (std::size_t k = 0; k < gains.size(); ++k) match_fir_detail::numbers_of(spectrum)[2 * k] = gains[k];
  const auto response = at::_fft_c2r(spectrum, {0}, 2, n).contiguous();
  const auto* from = response.const_data_ptr<double>();
  std::vector<double> taps(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    const double window =
        0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n - 1));
    taps[static_cast<std::size_t>(i)] = window * from[(i + n / 2) % n];
  }
  return taps;
}

void convolve_mid_side(StereoSignal& signal, std::span<const double> mid_taps, std::span<const double> side_taps) {
  match_fir_detail::BlockFilter(signal, mid_taps, side_taps).run();
}

}  // namespace melisma
