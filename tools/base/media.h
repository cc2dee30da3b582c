// Sound and pictures as bytes of well-known formats, for event files and reports.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace melisma {

// A mono 16-bit WAV file; samples are clamped to [-1, 1], times 32767, truncated toward zero. NaN is silence.
[[nodiscard]] std::string wav_bytes(std::span<const float> samples, std::int64_t sample_rate_hz);

// A PNG file of rgb [height][width][3].
[[nodiscard]] std::string png_bytes(std::span<const std::uint8_t> rgb, std::int64_t height, std::int64_t width);

}  // namespace melisma
