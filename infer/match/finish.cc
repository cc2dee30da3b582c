#include "infer/match/finish.h"

#include <algorithm>
#include <cmath>

#include "data/effects/decibels.h"
#include "infer/match/peak_limiter.h"

namespace melisma {
namespace match_finish_detail {
namespace {

constexpr std::int64_t kMostRounds = 16;
// The true peak is aimed this far below the ceiling, and may end this far below it.
constexpr double kPeakMarginDb = 0.03, kPeakSlackDb = 0.1;
constexpr double kAudibleDb = 0.01, kMostStepDb = 12;

void sum_up_limiting(const std::vector<double>& gain, FinishRecord& record) {
  if (gain.empty()) return;
  const double audible = factor_of_db(-kAudibleDb);
  const auto n_down = std::ranges::count_if(gain, [&](double factor) { return factor < audible; });
  record.limited_share = static_cast<double>(n_down) / static_cast<double>(gain.size());
  record.most_limited_db = -db_of_factor(*std::ranges::min_element(gain));
}

// The next level, from how much the last two rounds' loudness went along with it.
class LevelSearch {
 public:
  // `missing` LU at `level` that came out as `lufs`.
  double next(double level, double lufs, double missing) {
    const double level_db = db_of_factor(level);
    if (has_last_ && std::abs(level_db - last_level_db_) > 0.02) {
      slope_ = std::clamp((lufs - last_lufs_) / (level_db - last_level_db_), 0.1, 1.0);
    }
    has_last_ = true;
    last_level_db_ = level_db;
    last_lufs_ = lufs;
    return level * factor_of_db(std::clamp(missing / slope_, -kMostStepDb, kMostStepDb));
  }

 private:
  bool has_last_ = false;
  double slope_ = 1, last_level_db_ = 0, last_lufs_ = 0;
};

FinishRecord limited(MatchedSong& song, const std::vector<float>& envelope, std::optional<double> wanted_lufs,
                     const ImprovedConfig& how) {
  FinishRecord record;
  const auto rate = song.filtered.sample_rate_hz;
  const double peak = std::max(1e-12, static_cast<double>(*std::ranges::max_element(envelope)));
  const double most = factor_of_db(how.ceiling_dbtp + how.max_limited_db) / peak;
  if (wanted_lufs) song.level = std::min(song.level, most);
  double aim_db = how.ceiling_dbtp - kPeakMarginDb;
  LevelSearch search;
  const auto read = [&](std::int64_t first, std::span<double> left, std::span<double> right) {
    song.render(MatchFinish::limited, first, left, right);
  };
  for (record.rounds = 1;; ++record.rounds) {
    song.limiter = gain_below(envelope, song.level, factor_of_db(aim_db), rate, how);
    const bool is_last = record.rounds == kMostRounds;
    const auto n_frames = song.filtered.n_frames();
    // The peak costs as much as the loudness: it is looked at where that is met.
    if (wanted_lufs && !is_last) {
      const double lufs = loudness_of(n_frames, rate, read, false).integrated_lufs, missing = *wanted_lufs - lufs;
      const bool is_driven_to_the_end = missing > 0 && song.level >= most;
      if (std::abs(missing) > how.tolerance_lu && !is_driven_to_the_end) {
        song.level = std::min(search.next(song.level, lufs, missing), most);
        continue;
      }
    }
    record.after = loudness_of(n_frames, rate, read);
    const double over_db = record.after.true_peak_db - how.ceiling_dbtp;
    record.is_loudness_met = wanted_lufs && std::abs(*wanted_lufs - record.after.integrated_lufs) <= how.tolerance_lu;
    if (is_last || (over_db <= 0 && (song.limiter->gain.empty() || over_db >= -kPeakSlackDb))) break;
    aim_db -= over_db + kPeakMarginDb;
  }
  sum_up_limiting(song.limiter->gain, record);
  return record;
}

}  // namespace
}  // namespace match_finish_detail

FinishRecord finish_song(MatchedSong& song, std::optional<double> wanted_lufs, const ImprovedConfig& how,
                         bool is_limited) {
  if (!is_limited) return {};
  return match_finish_detail::limited(song, peak_envelope(song.filtered), wanted_lufs, how);
}

}  // namespace melisma
