// The output's loudness over time drawn towards the recording's.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/audio/frame_energy.h"

namespace melisma {

// As the RVC tools (volume envelope, rms_mix_rate): both signals' RMS in windows of a second every half second, between
// them straight lines; each sample times source^(1 - keep) * max(own, 1e-6)^(keep - 1). keep 1 = the output's own
// envelope, 0 = the recording's. A stream: what leaves is up to a second and a half behind.
class VolumeEnvelope {
 public:
  // source: the recording at its rate; the output will have n_samples at sample_rate_hz.
  VolumeEnvelope(std::span<const float> source, std::int64_t source_rate_hz, std::int64_t n_samples,
                 std::int64_t sample_rate_hz, double keep);
  // Appends whatever the samples so far determine.
  void push(std::span<const float> samples, std::vector<float>& out);
  void finish(std::vector<float>& out);

 private:
  void scale_known(std::span<const double> own, bool is_all, std::vector<float>& out);
  [[nodiscard]] double between(std::span<const double> frames, std::int64_t n_frames, std::int64_t sample) const;
  double keep_;
  std::int64_t n_samples_, n_own_, n_done_ = 0;
  std::vector<double> source_;
  FrameEnergy own_;
  std::vector<float> waiting_;
};

}  // namespace melisma
