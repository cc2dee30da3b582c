// A recording as pitch and content are made of it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

namespace melisma {

// Mono, 16 kHz, without rumble, padded to whole frames of 10 ms.
struct SourceAudio {
  std::vector<float> wave_16k;
  std::int64_t n_frames = 0;  // of the file, at its own rate
  std::int64_t rate_hz = 0;
  float peak = 0;  // of the file
  [[nodiscard]] double seconds() const { return static_cast<double>(n_frames) / static_cast<double>(rate_hz); }
};

// Reads a recording of any format and rate; channels are averaged. What lies below high_pass_hz is left out
// (Butterworth, order 5, both ways, as the RVC tools before inference); 0 = nothing is. Throws Error(data) for a file
// that cannot be used.
[[nodiscard]] SourceAudio read_source(const std::filesystem::path& path, double high_pass_hz);

}  // namespace melisma
