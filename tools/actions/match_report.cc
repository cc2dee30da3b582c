#include "tools/actions/match_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace melisma {
namespace match_report_detail {
namespace {
using Json = nlohmann::ordered_json;

double db(double factor) { return 20 * std::log10(std::max(factor, 1e-12)); }

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json levels_json(const PieceSizes& sizes, const PieceLevels& levels) {
  return {{"pieces", sizes.divisions},     {"piece_frames", sizes.piece}, {"rms", levels.rmses},
          {"average_rms", levels.average}, {"loudest", levels.loudest},   {"match_rms", levels.match_rms}};
}

Json loudness_json(const SongLoudness& loudness) {
  return {{"lufs", finite(loudness.integrated_lufs)},
          {"range_lu", loudness.range_lu},
          {"true_peak_db", finite(loudness.true_peak_db)}};
}

Json improved_json(const ImprovedRecord& record) {
  return {{"before", loudness_json(record.before)},
          {"after", loudness_json(record.after)},
          {"wanted_lufs", record.has_loudness ? Json(record.wanted_lufs) : Json(nullptr)},
          {"is_loudness_met", record.is_loudness_met},
          {"limited_share", record.limited_share},
          {"most_limited_db", record.most_limited_db},
          {"rounds", record.rounds},
          {"dynamics_db", {record.least_dynamics_db, record.most_dynamics_db}},
          {"side_bins_held", record.n_side_held},
          {"bins_limited", record.n_limited_bins}};
}

void print_exact(const MatchedSong& song) {
  fmt::print("  level {:+.2f} dB, after the filter {:+.2f} dB\n", db(song.record.level_coefficient), db(song.level));
  if (!song.limiter.has_value()) return;
  const auto& gain = song.limiter->gain;
  if (gain.empty()) {
    fmt::print("  the limiter had nothing to do\n");
  } else {
    fmt::print("  limiter: {} samples over, at most {:.2f} dB down\n", song.limiter->n_over,
               -db(*std::ranges::min_element(gain)));
  }
}

void print_improved(const MatchedSong& song, const ImprovedRecord& record) {
  if (!song.limiter.has_value()) {
    fmt::print("  {:.1f} LUFS before, level {:+.2f} dB after the filter\n", record.before.integrated_lufs,
               db(song.level));
    return;
  }
  fmt::print("  loudness {:.1f} -> {:.1f} LUFS ({:.1f} wanted), true peak {:+.1f} -> {:+.1f} dBTP\n",
             record.before.integrated_lufs, record.after.integrated_lufs, record.wanted_lufs,
             record.before.true_peak_db, record.after.true_peak_db);
  if (song.limiter->gain.empty()) {
    fmt::print("  the limiter had nothing to do\n");
  } else {
    fmt::print("  limiter: {:.1f} % of the time, at most {:.2f} dB down\n", 100 * record.limited_share,
               record.most_limited_db);
  }
}

}  // namespace
}  // namespace match_report_detail

nlohmann::ordered_json match_report(const MatchedTarget& made, const std::vector<MatchStep>& steps) {
  using namespace match_report_detail;
  const auto& song = made.song;
  const auto& last = steps.back().references.front().profile;
  std::vector<double> corrections;
  for (const auto& correction : song.record.corrections) corrections.push_back(correction.coefficient);
  Json report{
      {"mode", made.improved ? "improved" : "exact"},
      {"seconds", static_cast<double>(song.filtered.n_frames()) / static_cast<double>(song.filtered.sample_rate_hz)},
      {"sample_rate_hz", song.filtered.sample_rate_hz},
      {"target", levels_json(song.record.sizes, song.record.target)},
      {"reference", levels_json(last.sizes, last.levels)},
      {"level_coefficient", song.record.level_coefficient},
      {"corrections", corrections},
      {"final_amplitude", song.final_amplitude},
      {"peak_before_limiter", song.record.peak},
      {"clamped_bins", {{"mid", song.record.mid.n_clamped}, {"side", song.record.side.n_clamped}}}};
  if (song.limiter.has_value()) {
    const auto& gain = song.limiter->gain;
    report["limiter"] = {{"is_active", !gain.empty()},
                         {"samples_over", song.limiter->n_over},
                         {"least_gain", gain.empty() ? 1.0 : *std::ranges::min_element(gain)}};
  }
  if (made.improved) report["improved"] = improved_json(*made.improved);
  return report;
}

void print_match_summary(const MatchedTarget& made) {
  using namespace match_report_detail;
  if (made.improved) {
    print_improved(made.song, *made.improved);
  } else {
    print_exact(made.song);
  }
}

std::string match_warning(const MatchedTarget& made) {
  if (!made.improved || !made.song.limiter.has_value()) return "";
  const auto& record = *made.improved;
  if (!record.has_loudness) {
    return "too short or too quiet to be measured as loudness; levels of the loud pieces were matched instead";
  }
  if (record.is_loudness_met) return "";
  return fmt::format("{:.1f} LUFS were wanted, {:.1f} are met: the limiter is not driven further (max_limited_db)",
                     record.wanted_lufs, record.after.integrated_lufs);
}

}  // namespace melisma
