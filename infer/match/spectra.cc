#include "infer/match/spectra.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <complex>

#include "data/signal/vector.h"
#include "infer/match/share_out.h"
#include "tools/base/error.h"

namespace melisma {
namespace match_spectra_detail {
namespace {

constexpr std::int64_t kFramesATime = 16;

// [2 n] mid and side of n frames, one after the other.
MELISMA_CLONES void interleave_mid_side(const double* left, const double* right, std::int64_t n, double* out) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double mid = (left[i] + right[i]) * 0.5;
    out[2 * i] = mid;
    out[2 * i + 1] = mid - right[i];
  }
}

// Adds |FFT of the real part| and |FFT of the imaginary part| to the sums. z [2 size] is one transform of both.
MELISMA_CLONES void add_magnitudes(const double* z, std::int64_t size, double* mid, double* side) {
  for (std::int64_t k = 0; k <= size / 2; ++k) {
    const auto mirror = k == 0 ? 0 : size - k;
    const double a = z[2 * k], b = z[2 * k + 1], c = z[2 * mirror], d = z[2 * mirror + 1];
    mid[k] += 0.5 * std::sqrt((a + c) * (a + c) + (b - d) * (b - d));
    side[k] += 0.5 * std::sqrt((b + d) * (b + d) + (a - c) * (a - c));
  }
}

}  // namespace
}  // namespace match_spectra_detail

MidSideSpectra loud_spectra(const StereoSignal& signal, const PieceSizes& sizes,
                            const std::vector<std::int64_t>& pieces, std::int64_t fft_size) {
  using namespace match_spectra_detail;
  const auto a_piece = sizes.piece / fft_size;
  if (a_piece < 1)
    fail(ErrorKind::data, "pieces of {} frames are shorter than a spectrum of {}", sizes.piece, fft_size);
  const auto n_frames = a_piece * static_cast<std::int64_t>(pieces.size());
  const auto n_bins = fft_size / 2 + 1, n_batches = (n_frames + kFramesATime - 1) / kFramesATime;
  std::vector<double> sums(static_cast<std::size_t>(n_batches * 2 * n_bins));
  const auto first_of = [&](std::int64_t frame) {
    return pieces[static_cast<std::size_t>(frame / a_piece)] * sizes.piece + frame % a_piece * fft_size;
  };
  share_out(n_batches, [&](std::int64_t batch) {
    const c10::NoGradGuard no_grad;
    const auto first = batch * kFramesATime, count = std::min(kFramesATime, n_frames - first);
    auto frames = at::empty({count, fft_size}, at::kComplexDouble);
    auto* packed = reinterpret_cast<double*>(frames.data_ptr<c10::complex<double>>());
    for (std::int64_t frame = 0; frame < count; ++frame) {
      const auto at = first_of(first + frame);
      interleave_mid_side(signal.left.data() + at, signal.right.data() + at, fft_size, packed + 2 * frame * fft_size);
    }
    const auto spectra = at::_fft_c2c(frames, {1}, 0, true);
    const auto* z = reinterpret_cast<const double*>(spectra.const_data_ptr<c10::complex<double>>());
    double* mid = sums.data() + batch * 2 * n_bins;
    for (std::int64_t frame = 0; frame < count; ++frame) {
      add_magnitudes(z + 2 * frame * fft_size, fft_size, mid, mid + n_bins);
    }
  });
  MidSideSpectra mean{std::vector<double>(static_cast<std::size_t>(n_bins)),
                      std::vector<double>(static_cast<std::size_t>(n_bins)), n_frames};
  const double scale = 1 / (static_cast<double>(n_frames) * static_cast<double>(fft_size));
  for (std::int64_t batch = 0; batch < n_batches; ++batch) {
    const double* sum = sums.data() + batch * 2 * n_bins;
    for (std::int64_t k = 0; k < n_bins; ++k) mean.mid[static_cast<std::size_t>(k)] += scale * sum[k];
    for (std::int64_t k = 0; k < n_bins; ++k) mean.side[static_cast<std::size_t>(k)] += scale * sum[n_bins + k];
  }
  return mean;
}

}  // namespace melisma
