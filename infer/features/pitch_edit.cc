#include "infer/features/pitch_edit.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "infer/features/pitch.h"
#include "tools/base/error.h"

namespace melisma {
namespace pitch_edit_detail {
namespace {

// The path through {an octave down, as it is, an octave up} that costs least: a frame moved costs a little, a jump
// between neighbours that is about an octave or more costs as much as 20 frames moved.
class OctavePath {
 public:
  explicit OctavePath(std::span<const float> f0_hz) : f0_hz_(f0_hz), from_(f0_hz.size()) {}

  std::vector<float> run() {
    std::array<double, 3> cost{};
    for (std::size_t t = 0; t < f0_hz_.size(); ++t) {
      if (!(f0_hz_[t] > 0)) continue;
      cost = step(t, cost);
      last_ = t, has_last_ = true;
    }
    std::vector<float> repaired(f0_hz_.begin(), f0_hz_.end());
    auto state = static_cast<std::size_t>(std::min_element(cost.begin(), cost.end()) - cost.begin());
    if (cost[kUnmoved] <= cost[state]) state = kUnmoved;
    for (std::size_t t = f0_hz_.size(); t-- > 0;) {
      if (!(f0_hz_[t] > 0)) continue;
      repaired[t] = static_cast<float>(std::ldexp(f0_hz_[t], octaves(state)));
      state = from_[t][state];
    }
    return repaired;
  }

 private:
  static constexpr std::size_t kUnmoved = 1;
  static constexpr double kMovedFrame = 0.05;
  static constexpr std::size_t kLongestGap = 5;  // frames

  static int octaves(std::size_t state) { return static_cast<int>(state) - 1; }

  // 0 up to 7 semitones, 1 from 9 on.
  static double jump_cost(double octaves) { return std::clamp((std::abs(octaves) - 7.0 / 12) * 6, 0.0, 1.0); }

  std::array<double, 3> step(std::size_t t, const std::array<double, 3>& before) {
    const bool is_joined = has_last_ && t - last_ <= kLongestGap + 1;
    const auto rise = is_joined ? std::log2(f0_hz_[t] / f0_hz_[last_]) : 0.0;
    std::array<double, 3> cost{};
    for (std::size_t state = 0; state < cost.size(); ++state) {
      auto best = kUnmoved;
      const auto total = [&](std::size_t previous) {
        return before[previous] + (is_joined ? jump_cost(rise + octaves(state) - octaves(previous)) : 0);
      };
      for (const std::size_t previous : {0, 2}) {
        if (total(previous) < total(best)) best = previous;
      }
      from_[t][state] = best;
      cost[state] = total(best) + kMovedFrame * std::abs(octaves(state));
    }
    return cost;
  }

  std::span<const float> f0_hz_;
  std::vector<std::array<std::size_t, 3>> from_;
  std::size_t last_ = 0;  // voiced frame before
  bool has_last_ = false;
};

}  // namespace
}  // namespace pitch_edit_detail

void PitchEdits::check() const {
  if (smooth_frames < 1 || smooth_frames > 999 || smooth_frames % 2 == 0) {
    fail(ErrorKind::usage, "smoothing over {} frames is not possible; give an odd number from 1 to 999", smooth_frames);
  }
  if (!(std::abs(transpose_semitones) <= 48)) {
    fail(ErrorKind::usage, "a transposition by {} semitones is not possible; give -48 to 48", transpose_semitones);
  }
  if (!(autotune_strength >= 0 && autotune_strength <= 1)) {
    fail(ErrorKind::usage, "an autotune strength of {} is not possible; give 0 to 1", autotune_strength);
  }
  if (proposed_hz != 0 && !(proposed_hz >= 50 && proposed_hz <= 1200)) {
    fail(ErrorKind::usage, "a voice around {} Hz is not possible; give 50 to 1200 (RVC: 155 low voices, 255 high ones)",
         proposed_hz);
  }
  if (!autotune.empty()) (void)parse_scale(autotune);
}

EditedPitch edit_pitch(std::span<const float> f0_hz, const PitchEdits& edits) {
  edits.check();
  EditedPitch edited{.f0_hz = {f0_hz.begin(), f0_hz.end()}, .semitones = edits.transpose_semitones};
  auto& f0 = edited.f0_hz;
  if (edits.repair_octaves) {
    f0 = repair_octaves(f0_hz);
    for (std::size_t t = 0; t < f0.size(); ++t) edited.repaired_frames += f0[t] != f0_hz[t];
  }
  if (edits.smooth_frames > 1) f0 = median_pitch(f0, edits.smooth_frames);
  if (edits.proposed_hz > 0) edited.semitones += proposed_semitones(f0, edits.proposed_hz);
  if (edited.semitones != 0) f0 = shift_pitch(f0, edited.semitones);
  if (!edits.autotune.empty()) f0 = autotune_pitch(f0, parse_scale(edits.autotune), edits.autotune_strength);
  if (edits.fill) f0 = fill_unvoiced(f0);
  return edited;
}

std::vector<float> autotune_pitch(std::span<const float> f0_hz, const Scale& scale, double strength) {
  std::vector<float> tuned(f0_hz.begin(), f0_hz.end());
  for (auto& hz : tuned) {
    if (hz > 0) hz = static_cast<float>(hz + strength * (nearest_note_hz(hz, scale) - hz));
  }
  return tuned;
}

std::vector<float> median_pitch(std::span<const float> f0_hz, std::int64_t frames) {
  const auto n = static_cast<std::int64_t>(f0_hz.size()), reach = frames / 2;
  std::vector<float> smoothed(f0_hz.size()), around(static_cast<std::size_t>(frames));
  for (std::int64_t t = 0; t < n; ++t) {
    for (std::int64_t k = 0; k < frames; ++k) {
      const auto at = t - reach + k;
      around[static_cast<std::size_t>(k)] = at < 0 || at >= n ? 0 : f0_hz[static_cast<std::size_t>(at)];
    }
    std::nth_element(around.begin(), around.begin() + reach, around.end());
    smoothed[static_cast<std::size_t>(t)] = around[static_cast<std::size_t>(reach)];
  }
  return smoothed;
}

std::vector<float> repair_octaves(std::span<const float> f0_hz) { return pitch_edit_detail::OctavePath(f0_hz).run(); }

std::int64_t count_octave_jumps(std::span<const float> f0_hz) {
  std::int64_t count = 0;
  for (std::size_t t = 1; t < f0_hz.size(); ++t) {
    if (!(f0_hz[t] > 0 && f0_hz[t - 1] > 0)) continue;
    count += std::abs(std::abs(12 * std::log2(f0_hz[t] / f0_hz[t - 1])) - 12) <= 2;
  }
  return count;
}

int proposed_semitones(std::span<const float> f0_hz, double voice_hz) {
  if (std::count_if(f0_hz.begin(), f0_hz.end(), [](float hz) { return hz > 0; }) < 2) return 0;
  const auto median = summarise_pitch(fill_unvoiced(f0_hz)).median_hz;
  return static_cast<int>(std::clamp(std::nearbyint(12 * std::log2(voice_hz / median)), -12.0, 12.0));
}

}  // namespace melisma
