// Pitch curves as files that people edit: CSV with the header "time_s,f0_hz" and one line a point, 0 = unvoiced.
// Torch-free.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct PitchCurve {
  std::vector<double> seconds;  // ascending
  std::vector<float> f0_hz;     // as long; 0 = unvoiced
  std::string source;           // the file it was read from, for messages
  [[nodiscard]] double end_s() const { return seconds.empty() ? 0 : seconds.back(); }
};

// Frames of 10 ms, the first at 0.
[[nodiscard]] PitchCurve curve_of_frames(std::vector<float> f0_hz);

// Writes atomically; numbers read back as the same ones.
void write_pitch_curve(const std::filesystem::path& path, const PitchCurve& curve);

// Reads what write_pitch_curve wrote, and lines "seconds,hz" without a header as the RVC tools read them; empty lines
// and lines that begin with '#' are skipped. Throws Error(data) with file and line for anything else: a field that is
// no number, a time that does not ascend, a pitch that is negative or above 8000 Hz, a file without points.
[[nodiscard]] PitchCurve read_pitch_curve(const std::filesystem::path& path);

// The curve at 0, 10, 20 ms ...: a straight line between two voiced points, otherwise the nearer point; unvoiced more
// than a frame before the first or behind the last.
[[nodiscard]] std::vector<float> frames_of_curve(const PitchCurve& curve, std::int64_t n_frames);

// What is to be said about a curve used for a recording of `seconds`: nothing where they end within 50 ms of each
// other, a remark up to half a second. Beyond that throws Error(data): it is the curve of another recording.
[[nodiscard]] std::string curve_length_remark(const PitchCurve& curve, double seconds);

}  // namespace melisma
