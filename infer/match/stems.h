// Stems of a song, matched one by one, put together: each with a gain, or muted, between dry and wet; then a master
// gain.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "infer/match/stereo.h"

namespace melisma {

struct StemControl {
  double gain_db = 0;
  bool is_muted = false;
  double blend = 1;  // share of the matched stem, 0 to 1; the rest is the stem as it was
};

struct MixControls {
  std::vector<StemControl> stems;  // as many as there are stems, in their order
  double master_gain_db = 0;
};

// What a control makes of a stem: factors of its two versions.
struct StemFactors {
  double dry = 0, wet = 1;
};
[[nodiscard]] StemFactors factors_of(const StemControl& control, double master_gain_db);

struct StemTrack {
  std::string name;
  StereoSignal dry, wet;  // at one rate; what is past the end of either is silence
};

// The frames of the longest track.
[[nodiscard]] std::int64_t n_frames_of(const std::vector<StemTrack>& tracks);

// Frames [first, first + left.size()) of all stems together. Linear: no limiter.
void mix_stems(const std::vector<StemTrack>& tracks, const MixControls& controls, std::int64_t first,
               std::span<double> left, std::span<double> right);

// Adds a stem to a sum, which grows to its length. Throws Error(data) naming both rates if they differ.
void add_stem(StereoSignal& sum, const StereoSignal& stem, double factor);

}  // namespace melisma
