#include "infer/match/match_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tools/base/text_table.h"

namespace melisma {
namespace match_explain_detail {
namespace {

using Rows = std::vector<std::vector<std::string>>;

double db(double factor) { return factor > 0 ? 20 * std::log10(factor) : -INFINITY; }

std::string level_table(const MatchedSong& song) {
  const auto& record = song.record;
  Rows rows{{"from", "level dB", "heard", "limiter dB"}};
  const auto loud = [&](std::int64_t piece) {
    return std::ranges::find(record.target.loudest, piece) != record.target.loudest.end();
  };
  for (std::int64_t piece = 0; piece < record.sizes.divisions; ++piece) {
    double least = 1;
    if (song.limiter.has_value() && !song.limiter->gain.empty()) {
      const auto first = song.limiter->gain.begin() + piece * record.sizes.piece;
      least = *std::min_element(first, first + record.sizes.piece);
    }
    const double seconds =
        static_cast<double>(piece * record.sizes.piece) / static_cast<double>(song.filtered.sample_rate_hz);
    rows.push_back({fmt::format("{:.1f} s", seconds),
                    fmt::format("{:.1f}", db(record.target.rmses[static_cast<std::size_t>(piece)])),
                    loud(piece) ? "yes" : "", least < 1 ? fmt::format("{:.2f}", db(least)) : ""});
  }
  return text_table(rows);
}

std::string curve_table(const MatchedSong& song) {
  const auto rate = song.filtered.sample_rate_hz;
  const auto mid = third_octaves(song.record.mid.smoothed, rate), side = third_octaves(song.record.side.smoothed, rate);
  Rows rows{{"Hz", "mid dB", "side dB", "mid, a mark a decibel"}};
  for (std::size_t band = 0; band < mid.size(); ++band) {
    rows.push_back({fmt::format("{:.0f}", mid[band].centre_hz), fmt::format("{:.1f}", mid[band].gain_db),
                    fmt::format("{:.1f}", side[band].gain_db), decibel_bar(mid[band].gain_db)});
  }
  return text_table(rows);
}

std::string loudness_table(const MatchedSong& song, const ImprovedRecord& record) {
  const auto row = [](const char* name, const SongLoudness& loudness) {
    return std::vector{std::string(name), fmt::format("{:.1f}", loudness.integrated_lufs),
                       fmt::format("{:.1f}", loudness.range_lu), fmt::format("{:+.1f}", loudness.true_peak_db)};
  };
  Rows rows{{"", "LUFS", "range LU", "true peak dB"}, row("before", record.before)};
  if (song.limiter.has_value()) rows.push_back(row("after", record.after));
  return text_table(rows);
}

// How much of the time the limiter took how much away.
std::string limiter_text(const MatchedSong& song, const ImprovedRecord& record) {
  if (!song.limiter.has_value()) return "No limiter was asked for\n";
  if (song.limiter->gain.empty()) return "The limiter had nothing to do\n";
  constexpr std::array kSteps{0.01, 1.0, 3.0, 6.0};
  Rows rows{{"down by", "% of the time"}};
  for (const double step : kSteps) {
    const double factor = std::pow(10, -step / 20);
    const auto n = std::ranges::count_if(song.limiter->gain, [&](double gain) { return gain < factor; });
    rows.push_back(
        {fmt::format("{:g} dB or more", step),
         fmt::format("{:.2f}", 100.0 * static_cast<double>(n) / static_cast<double>(song.limiter->gain.size()))});
  }
  return fmt::format("The limiter, {:.2f} dB at most; level and limiter met the loudness in {} rounds\n{}",
                     record.most_limited_db, record.rounds, text_table(rows));
}

}  // namespace
}  // namespace match_explain_detail

std::string decibel_bar(double gain_db) {
  constexpr int kMost = 12;
  const int marks = static_cast<int>(std::lround(std::clamp(gain_db, -1.0 * kMost, 1.0 * kMost)));
  const auto run = [](int n, char mark) { return std::string(static_cast<std::size_t>(n), mark); };
  return run(kMost - std::max(0, -marks), ' ') + run(std::max(0, -marks), '-') + '|' + run(std::max(0, marks), '+');
}

std::vector<ThirdOctave> third_octaves(std::span<const double> gains, std::int64_t sample_rate_hz) {
  const double half = static_cast<double>(sample_rate_hz) / 2, bins = static_cast<double>(gains.size() - 1);
  std::vector<ThirdOctave> bands;
  for (int third = -16;; ++third) {  // of 1 kHz
    const double centre = 1000 * std::exp2(third / 3.0);
    if (centre > half) return bands;
    const auto bin = [&](double hz) { return std::clamp(hz / half * bins, 1.0, bins); };
    auto first = static_cast<std::size_t>(std::ceil(bin(centre * std::exp2(-1 / 6.0))));
    auto last = static_cast<std::size_t>(std::floor(bin(centre * std::exp2(1 / 6.0))));
    if (last < first) first = last = static_cast<std::size_t>(std::lround(bin(centre)));
    double power = 0;
    for (auto k = first; k <= last; ++k) power += gains[k] * gains[k];
    bands.push_back({centre, match_explain_detail::db(std::sqrt(power / static_cast<double>(last - first + 1)))});
  }
}

std::string explanation_of(const MatchedSong& song) {
  using namespace match_explain_detail;
  return fmt::format(
      "Pieces of the target; the reference's loud ones were matched with those that are heard\n{}\n"
      "What the filter did on top of {:+.2f} dB of level\n{}",
      level_table(song), db(song.record.level_coefficient), curve_table(song));
}

std::string explanation_of(const MatchedSong& song, const ImprovedRecord& record) {
  using namespace match_explain_detail;
  std::string notes;
  if (record.n_side_held > 0) {
    notes += fmt::format(
        "At {} frequencies the side was not widened as far as the reference's: there is next to "
        "nothing in it\n",
        record.n_side_held);
  }
  if (record.least_dynamics_db < 0 || record.most_dynamics_db > 0) {
    notes += fmt::format("Dynamics moved the level by {:+.1f} to {:+.1f} dB\n", record.least_dynamics_db,
                         record.most_dynamics_db);
  }
  return fmt::format(
      "{}\n{}\nPieces of the target; the filter was made from those that are heard\n{}\n"
      "What the filter did, apart from {:+.2f} dB of level\n{}{}",
      loudness_table(song, record), limiter_text(song, record), level_table(song), db(song.level), curve_table(song),
      notes);
}

}  // namespace melisma
