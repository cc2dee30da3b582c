// How a matched song ends in the improved mode: as loud as wanted with no true peak above the ceiling.
#pragma once
#include <cstdint>
#include <optional>

#include "infer/match/match.h"

namespace melisma {

struct FinishRecord {
  SongLoudness after;            // of the limited result
  bool is_loudness_met = false;  // within tolerance_lu of what was wanted
  double limited_share = 0;      // of the frames: turned down by more than a hundredth of a dB
  double most_limited_db = 0;    // 0 or above
  std::int64_t rounds = 0;       // of level and limiter
};

// Level and limiter in turn, from song.level on, until the result has `wanted_lufs` and its true peak lies at the
// ceiling or within a tenth of a dB below it; nothing wanted: the level stays. Without limiter the level stays, too.
// Sets song.level and song.limiter.
[[nodiscard]] FinishRecord finish_song(MatchedSong& song, std::optional<double> wanted_lufs, const ImprovedConfig& how,
                                       bool is_limited);

}  // namespace melisma
