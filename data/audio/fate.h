// What becomes of a recording: a named fate for every file, decided in one pass over its samples.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "data/audio/waveform.h"
#include "tools/config/fields.h"

namespace melisma {

enum class Fate { kept, clipped, silent, non_finite, too_short, unreadable, duplicate, not_used };

struct FateRow {
  Fate fate;
  std::string_view name;
  bool is_kept;
  std::string_view summary;
};

inline constexpr std::array kFates{
    FateRow{Fate::kept, "kept", true, "used"},
    FateRow{Fate::clipped, "clipped", true,
            "used, with a warning: flat tops at full scale, distortion the voice would learn"},
    FateRow{Fate::silent, "silent", false, "left out: never louder than the silence level"},
    FateRow{Fate::non_finite, "non_finite", false, "left out: holds NaN or infinite samples"},
    FateRow{Fate::too_short, "too_short", false, "left out: shorter than the least length"},
    FateRow{Fate::unreadable, "unreadable", false, "left out: missing, empty, damaged, truncated or not audio"},
    FateRow{Fate::duplicate, "duplicate", false, "left out: the same samples as another recording"},
    FateRow{Fate::not_used, "not_used", false, "left out: no track of a song as the folder's layout has it"},
};

[[nodiscard]] const FateRow& row_of(Fate fate);
[[nodiscard]] inline std::string_view name_of(Fate fate) { return row_of(fate).name; }
[[nodiscard]] inline bool is_kept(Fate fate) { return row_of(fate).is_kept; }

struct FateConfig {
  double min_seconds = 0.4;      // a training segment is 0.32 to 0.4 s
  double silence_db = -60;       // a recording whose peak stays below is silent
  double clipped_share = 0.001;  // of all samples, from which on a recording counts as clipped
  static constexpr auto fields() {
    using C = FateConfig;
    return std::tuple{
        field("min_seconds", &C::min_seconds, "shorter recordings are left out").unit("s").range(0, 60),
        field("silence_db", &C::silence_db, "recordings whose peak stays below this are left out")
            .unit("dB")
            .range(-120, 0),
        field("clipped_share", &C::clipped_share, "share of clipped samples that brings a warning").range(0, 1),
    };
  }
};

struct Assessment {
  Fate fate = Fate::kept;
  std::string reason = {};  // for people; empty for `kept`
  double seconds = 0;
  double peak = 0;  // largest finite |x|
  double clipped_share = 0;
  std::int64_t n_non_finite = 0;
};

// Judges a stream of blocks. A clipped sample is one of at least three equal neighbours at 0.98 of full scale or more:
// a flat top, which a recording that merely touches full scale does not have. Only the first matching fate is given, in
// the order non_finite, too_short, silent, clipped.
class FateAssessor {
 public:
  FateAssessor(const FateConfig& config, std::int64_t sample_rate_hz, std::int64_t n_channels);
  // A planar block of all channels, before they are mixed (a mix hides clipping).
  void add(const Waveform& block);
  // The same for a single channel.
  void add(std::span<const float> block) {
    add_channel(block, 0), n_frames_ += static_cast<std::int64_t>(block.size());
  }
  [[nodiscard]] Assessment finish() const;

 private:
  struct Run {
    float value = 0;
    std::int64_t length = 0;
  };
  void add_channel(std::span<const float> samples, std::size_t channel);
  FateConfig config_;
  std::int64_t sample_rate_hz_, n_frames_ = 0, n_clipped_ = 0, n_non_finite_ = 0;
  float peak_ = 0;
  std::vector<Run> runs_;  // one a channel: equal samples at full scale up to now
};

// The verdict for a file that could not be read: fate `unreadable` with the error's message.
[[nodiscard]] Assessment unreadable(std::string message);

}  // namespace melisma
