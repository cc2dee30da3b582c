#include "tools/bench/pitch_accuracy.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

#include "eval/metrics/pitch_metrics.h"
#include "infer/features/pitch.h"
#include "tools/base/error.h"
#include "tools/bench/known_voices.h"

namespace melisma {
namespace pitch_accuracy_detail {
namespace {

constexpr std::array kCombinations{"median(pyin, harvest, pm)", "median(pyin, crepe-tiny, fcpe)"};
constexpr double kToleranceCents = 50;

using Contour = std::vector<double>;

// Share of the frames voiced in both that are off by whole octaves.
double octave_errors(const Contour& known, const Contour& heard) {
  double both = 0, wrong = 0;
  for (std::size_t t = 0; t < known.size(); ++t) {
    if (known[t] == 0 || heard[t] == 0) continue;
    const auto octaves = std::log2(heard[t] / known[t]), nearest = std::round(octaves);
    ++both;
    wrong += nearest != 0 && 1200 * std::abs(octaves - nearest) < kToleranceCents;
  }
  return both > 0 ? wrong / both : std::numeric_limits<double>::quiet_NaN();
}

std::string percent(double share) { return std::isnan(share) ? "-" : fmt::format("{:.1f}", 100 * share); }

struct Measured {
  std::vector<std::string> overall, by_voice;  // cells
};

Measured measure(const std::string& method, const std::vector<KnownVoice>& voices) {
  Measured cells{{method}, {method}};
  Contour known, heard;
  for (const auto& voice : voices) {
    const auto f0 = extract_pitch(voice.wave, {.method = method});
    const Contour own(f0.begin(), f0.end());
    cells.by_voice.push_back(percent(compare_pitch(voice.f0_hz, own).raw_pitch_accuracy));
    known.insert(known.end(), voice.f0_hz.begin(), voice.f0_hz.end());
    heard.insert(heard.end(), own.begin(), own.end());
  }
  const auto all = compare_pitch(known, heard);
  cells.overall.insert(cells.overall.end(),
                       {percent(all.raw_pitch_accuracy), percent(all.raw_chroma_accuracy),
                        fmt::format("{:.1f}", all.vuv_error_percent), percent(octave_errors(known, heard))});
  return cells;
}

}  // namespace
}  // namespace pitch_accuracy_detail

std::vector<BenchmarkTable> pitch_accuracy(double seconds_each, std::vector<std::string>& remarks) {
  using namespace pitch_accuracy_detail;
  const auto voices = known_voices(seconds_each);
  BenchmarkTable overall{
      .title = fmt::format("{} synthetic voices of {:g} s: raw pitch and chroma accuracy (within {:g} cents), frames "
                           "voiced in one contour only, octave errors, in %",
                           voices.size(), seconds_each, kToleranceCents),
      .rows = {{"method", "RPA", "RCA", "VUV error", "octave errors"}}};
  BenchmarkTable by_voice{.title = "raw pitch accuracy a voice, in %", .rows = {{"method"}}};
  for (const auto& voice : voices) by_voice.rows.front().push_back(voice.name);
  std::vector<std::string> methods;
  for (const auto& method : kPitchMethods) methods.emplace_back(method.name);
  methods.insert(methods.end(), kCombinations.begin(), kCombinations.end());
  for (const auto& method : methods) {
    try {
      auto cells = measure(method, voices);
      overall.rows.push_back(std::move(cells.overall));
      by_voice.rows.push_back(std::move(cells.by_voice));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::checkpoint) throw;
      overall.rows.push_back({method, "-", "-", "-", "-"});
      remarks.push_back(fmt::format("{} not measured: {}", method, error.message()));
    }
  }
  return {overall, by_voice};
}

}  // namespace melisma
