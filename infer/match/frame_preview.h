// Listening to a mix of stems while its controls are moved: frame by frame, without a step where a control changes.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data/effects/limiter.h"
#include "infer/match/stems.h"

namespace melisma {

// Renders frames of 4096 samples, the next one 3072 later: over the 1024 they share one fades into the other by raised
// cosines whose sum is 1, so that what did not change comes out as mix_stems() gives it. A control that is moved is
// heard from the next frame on.
//
//   FramePreview preview(tracks, controls);
//   while (preview.render(block)) play(block);   // on the way: preview.set(other_controls);
class FramePreview {
 public:
  static constexpr std::int64_t kFrame = 4096, kOverlap = kFrame / 4, kHop = kFrame - kOverlap;

  // `tracks` are borrowed. With a limiter its gain goes on from frame to frame; after seek() it begins afresh. The
  // limiter's look-ahead is made up for: what comes out is in its place.
  FramePreview(const std::vector<StemTrack>& tracks, MixControls controls,
               const std::optional<LimiterSettings>& limiter = std::nullopt);

  // Throws Error(config) if there are not as many controls as stems.
  void set(MixControls controls);
  // Goes on at a frame of the song, with the controls as they are.
  void seek(std::int64_t frame);

  // The next frames, 3072 of them (with a limiter as many as it gives by now); false at the end of the song.
  bool render(StereoSignal& block);

 private:
  void require_fitting(const MixControls& controls) const;
  bool render_hop(StereoSignal& block);
  void limit(StereoSignal& block, bool is_end);

  const std::vector<StemTrack>& tracks_;
  MixControls controls_;
  std::optional<LimiterSettings> limiter_settings_;
  std::unique_ptr<Effect> limiter_;
  std::int64_t n_frames_, at_ = 0, sample_rate_hz_;
  bool has_tail_ = false, has_ended_ = false;
  std::vector<double> rise_;   // [kOverlap]
  StereoSignal frame_, tail_;  // a frame; the last one's end
};

}  // namespace melisma
