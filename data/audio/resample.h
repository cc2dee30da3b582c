// Sample-rate conversion by libsoxr, whole or in a stream, with the same result.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/audio/waveform.h"

namespace melisma {

// As Python soxr's "VHQ" (28 bits, what librosa and the RVC tools' loaders ask for by soxr_vhq) and "HQ" (20 bits).
enum class ResampleQuality { high, very_high };

// Frames that resampling n_frames gives: n * to / from rounded to the nearest, halves up, as libsoxr.
[[nodiscard]] std::int64_t resampled_length(std::int64_t n_frames, std::int64_t from_hz, std::int64_t to_hz);

// All channels of `wave` at another rate: resampled_length() frames. A copy if the rate is the same already.
// Throws Error(config) for a rate below 1 Hz.
[[nodiscard]] Waveform resample(const Waveform& wave, std::int64_t rate_hz,
                                ResampleQuality quality = ResampleQuality::very_high);
// One channel.
[[nodiscard]] std::vector<float> resample(std::span<const float> samples, std::int64_t from_hz, std::int64_t to_hz,
                                          ResampleQuality quality = ResampleQuality::very_high);

// One channel in blocks of any size: the concatenated output equals resample() of the concatenated input, bit for bit.
class StreamResampler {
 public:
  StreamResampler(std::int64_t from_hz, std::int64_t to_hz, ResampleQuality quality = ResampleQuality::very_high);
  ~StreamResampler();
  StreamResampler(StreamResampler&&) noexcept;
  StreamResampler& operator=(StreamResampler&&) noexcept;

  // Appends to `out` whatever the input so far determines.
  void push(std::span<const float> block, std::vector<float>& out);
  // The end of the input: appends the rest. Nothing may follow.
  void finish(std::vector<float>& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace melisma
