#include "data/signal/stonemask.h"

#include <omp.h>

#include <cmath>

#include "data/signal/windowed_harmonics.h"

namespace melisma {
namespace stonemask_detail {
namespace {

constexpr double kLowestHz = 40;
constexpr double kFarthest = 0.2;  // of the given pitch
constexpr std::int64_t kChunkFrames = 64;

double refined(const WindowedHarmonics& harmonics, double hz) {
  const auto tentative = harmonics.estimate(hz, 2).f0_hz;
  if (!(tentative > 0 && tentative <= 2 * hz)) return hz;
  const auto found = harmonics.estimate(tentative, 6).f0_hz;
  return std::abs(found - hz) > kFarthest * hz ? hz : found;
}

}  // namespace
}  // namespace stonemask_detail

std::vector<double> stonemask(std::span<const float> wave, std::int64_t sample_rate_hz, std::span<const double> f0_hz,
                              double frame_period_ms, int threads) {
  using namespace stonemask_detail;
  const auto rate = static_cast<double>(sample_rate_hz);
  std::vector<double> result(f0_hz.size());
  const auto n_chunks = (static_cast<std::int64_t>(f0_hz.size()) + kChunkFrames - 1) / kChunkFrames;
  if (wave.empty()) return result;
#pragma omp parallel for schedule(dynamic) num_threads(threads > 0 ? threads : omp_get_max_threads())
  for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
    WindowedHarmonics harmonics;
    const auto end = std::min(f0_hz.size(), static_cast<std::size_t>((chunk + 1) * kChunkFrames));
    for (auto t = static_cast<std::size_t>(chunk * kChunkFrames); t < end; ++t) {
      if (!(f0_hz[t] > kLowestHz && f0_hz[t] <= rate / 12)) continue;
      harmonics.cut(wave, rate, static_cast<double>(t) * frame_period_ms / 1000, f0_hz[t]);
      result[t] = refined(harmonics, f0_hz[t]);
    }
  }
  return result;
}

}  // namespace melisma
