// A piece of audio in memory: planar float samples and their rate.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

// samples is [channels][frames], one channel after the other, nominally in [-1, 1]; a value type.
struct Waveform {
  std::vector<float> samples;
  std::int64_t n_channels = 1;
  std::int64_t sample_rate_hz = 0;

  [[nodiscard]] std::int64_t n_frames() const {
    return n_channels == 0 ? 0 : static_cast<std::int64_t>(samples.size()) / n_channels;
  }
  [[nodiscard]] double seconds() const {
    return sample_rate_hz == 0 ? 0.0 : static_cast<double>(n_frames()) / static_cast<double>(sample_rate_hz);
  }
  [[nodiscard]] std::span<float> channel(std::int64_t index) {
    return std::span(samples).subspan(static_cast<std::size_t>(index * n_frames()),
                                      static_cast<std::size_t>(n_frames()));
  }
  [[nodiscard]] std::span<const float> channel(std::int64_t index) const {
    return std::span(samples).subspan(static_cast<std::size_t>(index * n_frames()),
                                      static_cast<std::size_t>(n_frames()));
  }
};

}  // namespace melisma
