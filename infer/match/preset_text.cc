#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "infer/match/match_explain.h"
#include "infer/match/preset.h"
#include "tools/base/text_table.h"

namespace melisma {
namespace match_preset_text_detail {
namespace {

using Rows = std::vector<std::vector<std::string>>;

double db(double factor) { return factor > 0 ? 20 * std::log10(factor) : -INFINITY; }

Rows facts_of(const std::vector<MatchPreset>& presets) {
  Rows rows{{"", "rate", "LUFS", "range LU", "true peak dB", "RMS of loud pieces dB", "loud pieces", "of seconds"}};
  for (const auto& [name, profile, analysis] : presets) {
    const auto& loudness = profile.loudness;
    rows.push_back({name, fmt::format("{}", profile.sample_rate_hz), fmt::format("{:.1f}", loudness.integrated_lufs),
                    fmt::format("{:.1f}", loudness.range_lu), fmt::format("{:+.1f}", loudness.true_peak_db),
                    fmt::format("{:.1f}", db(profile.levels.match_rms * profile.final_amplitude)),
                    fmt::format("{}", profile.levels.loudest.size()),
                    fmt::format("{:.1f}", static_cast<double>(profile.sizes.piece) /
                                              static_cast<double>(profile.sample_rate_hz))});
  }
  return rows;
}

// Of one preset: a mark for every 2 dB above -60.
std::string share_bar(double share_db) {
  return std::string(static_cast<std::size_t>(std::lround(std::clamp(share_db + 60, 0.0, 60.0) / 2)), '#');
}

}  // namespace
}  // namespace match_preset_text_detail

std::vector<BandShare> band_shares(const MatchProfile& profile) {
  const double half = static_cast<double>(profile.sample_rate_hz) / 2;
  const auto& [mid, side, n_frames] = profile.spectra;
  const double bins = static_cast<double>(mid.size() - 1);
  const auto power = [&](std::size_t k) { return mid[k] * mid[k] + side[k] * side[k]; };
  double total = 0;
  for (std::size_t k = 1; k < mid.size(); ++k) total += power(k);
  std::vector<BandShare> bands;
  for (int third = -16;; ++third) {  // of 1 kHz
    const double centre = 1000 * std::exp2(third / 3.0);
    if (centre > half) return bands;
    // Bin k stands for what lies half a bin to both its sides.
    const double from = centre * std::exp2(-1 / 6.0) / half * bins, to = centre * std::exp2(1 / 6.0) / half * bins;
    double sum = 0;
    for (auto k = static_cast<std::size_t>(std::max(1.0, std::floor(from + 0.5))); k < mid.size(); ++k) {
      const double at = static_cast<double>(k), overlap = std::min(to, at + 0.5) - std::max(from, at - 0.5);
      if (overlap <= 0) break;
      sum += overlap * power(k);
    }
    bands.push_back({centre, sum > 0 ? 10 * std::log10(sum / total) : -INFINITY});
  }
}

std::string preset_table(const std::vector<MatchPreset>& presets) {
  using namespace match_preset_text_detail;
  std::vector<std::vector<BandShare>> shares;
  for (const auto& preset : presets) shares.push_back(band_shares(preset.profile));
  const auto longest = std::ranges::max_element(shares, {}, &std::vector<BandShare>::size);
  Rows rows{{"Hz"}};
  for (const auto& preset : presets) rows.front().push_back(preset.name + " dB");
  rows.front().push_back(presets.size() == 1 ? "a mark 2 dB" : presets.back().name + " against " + presets[0].name);
  for (std::size_t band = 0; band < longest->size(); ++band) {
    rows.push_back({fmt::format("{:.0f}", (*longest)[band].centre_hz)});
    for (const auto& own : shares) {
      rows.back().push_back(band < own.size() ? fmt::format("{:.1f}", own[band].share_db) : "-");
    }
    const bool has_both = band < shares.front().size() && band < shares.back().size();
    if (presets.size() == 1) rows.back().push_back(share_bar(shares[0][band].share_db));
    if (presets.size() > 1 && has_both) {
      rows.back().push_back(decibel_bar(shares.back()[band].share_db - shares.front()[band].share_db));
    }
  }
  return fmt::format("{}\nThird octaves, of all power\n{}", text_table(facts_of(presets)), text_table(rows));
}

}  // namespace melisma
