// The mel spectrogram that mixing models hear, of a recording of any length that comes in blocks.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "models/mix/mix_config.h"

namespace melisma {

// Frames that mix_mel_db() makes of n_samples; 0 where these are not more than half a frame.
[[nodiscard]] std::int64_t mix_mel_frames(std::int64_t n_samples, const MixMelConfig& mel);

// Protocol: push() block by block, then finish() once. The blocks' sizes do not matter; memory holds some 256 frames of
// samples and the rows.
class MixMelStream {
 public:
  MixMelStream(const MixMelConfig& mel, std::int64_t sample_rate_hz) : mel_(mel), sample_rate_hz_(sample_rate_hz) {}
  void push(std::span<const float> mono);
  // Rows [mix_mel_frames()][n_mels] in dB, as mix_mel_db() of all samples at once.
  [[nodiscard]] std::vector<float> finish();

 private:
  [[nodiscard]] std::int64_t half_frame() const { return mel_.n_fft / 2; }
  // Rows of the next frames of `pending_`, whose samples are then dropped.
  void make_rows(std::int64_t n_frames);

  MixMelConfig mel_;
  std::int64_t sample_rate_hz_;
  bool has_start_ = false;      // the mirrored half frame stands before the first sample
  std::vector<float> pending_;  // from the first sample of the next frame on
  std::vector<float> rows_;
};

}  // namespace melisma
