#include "infer/match/match_config.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tools/base/error.h"

namespace melisma {

void require_fitting(const MatchConfig& config) {
  const auto size = static_cast<std::uint64_t>(config.fft_size);
  if (!std::has_single_bit(size)) {
    fail(ErrorKind::config, "fft_size {} is no power of two; take {} or {}", config.fft_size, std::bit_floor(size),
         std::bit_ceil(size));
  }
  // A piece is longer than half of max_piece_s.
  const double least = config.max_piece_s / 2 * static_cast<double>(config.sample_rate_hz);
  if (least < static_cast<double>(config.fft_size)) {
    fail(ErrorKind::config,
         "pieces of up to {} s at {} Hz may be shorter than a spectrum of {} samples; raise max_piece_s to {:.2f} or "
         "lower fft_size",
         config.max_piece_s, config.sample_rate_hz, config.fft_size,
         std::ceil(200 * static_cast<double>(config.fft_size) / static_cast<double>(config.sample_rate_hz)) / 100);
  }
}

MatchConfig at_rate(MatchConfig config, std::int64_t sample_rate_hz) {
  const auto octaves = std::lround(std::log2(static_cast<double>(sample_rate_hz) / 44100));
  config.sample_rate_hz = sample_rate_hz;
  config.fft_size =
      octaves >= 0 ? config.fft_size << octaves : std::max<std::int64_t>(256, config.fft_size >> -octaves);
  return config;
}

}  // namespace melisma
