#include "tools/actions/match_sources.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/audio/audio_file.h"
#include "infer/match/preset.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"

namespace melisma {
namespace match_sources_detail {
namespace {
namespace fs = std::filesystem;

MatchConfig config_for(const MatchSettings& settings, std::int64_t sample_rate_hz) {
  return settings.is_exact() ? settings.matching : at_rate(settings.matching, sample_rate_hz);
}

MatchedTarget matched_exactly(StereoSignal target, const std::vector<MatchStep>& steps, const MatchSettings& settings,
                              bool is_limited) {
  for (std::size_t step = 0;; ++step) {
    std::vector<MatchProfile> profiles;
    for (const auto& reference : steps[step].references) profiles.push_back(reference.profile);
    const auto profile = concatenated(profiles);
    const bool is_last = step + 1 == steps.size();
    auto song = match_to(std::move(target), profile, settings.matching, !is_last || is_limited);
    if (is_last) return {std::move(song), std::nullopt};
    target = rendered(std::move(song), MatchFinish::limited);
  }
}

// Only what the last step makes is limited.
MatchedTarget improved(StereoSignal target, const std::vector<MatchStep>& steps, const MatchSettings& settings,
                       bool is_limited) {
  const auto config = at_rate(settings.matching, target.sample_rate_hz);
  std::optional<SongLoudness> before;
  for (std::size_t step = 0;; ++step) {
    const auto goal = goal_of(steps[step].references, steps[step].rule, config.sample_rate_hz, config.fft_size);
    const bool is_last = step + 1 == steps.size();
    auto made = improve(std::move(target), goal, config, settings.improved, is_last && is_limited);
    if (!before) before = made.record.before;
    made.record.before = *before;
    if (is_last) return {std::move(made.song), std::move(made.record)};
    target = rendered(std::move(made.song), MatchFinish::unlimited);
  }
}

}  // namespace
}  // namespace match_sources_detail

NamedReference named_reference(const std::string& text) {
  const auto sign = text.rfind('=');
  if (sign == std::string::npos || std::filesystem::exists(text)) return {text, 1};
  const char* begin = text.data() + sign + 1;
  double weight = 0;
  const auto [end, code] = std::from_chars(begin, text.data() + text.size(), weight);
  if (code != std::errc{} || end != text.data() + text.size() || !(weight > 0) || !std::isfinite(weight)) {
    fail(ErrorKind::usage, "'{}' gives no weight above 0; write file=weight, such as song.wav=2", text);
  }
  return {text.substr(0, sign), weight};
}

MatchInput read_for_matching(const std::filesystem::path& path, MatchRole role, const MatchSettings& settings) {
  const auto rate = settings.is_exact() ? 0 : probe_audio(path).sample_rate_hz;
  return read_match_input(path, role, match_sources_detail::config_for(settings, rate));
}

namespace match_sources_detail {
namespace {

AnalysedReference analysed(const NamedReference& reference, const MatchSettings& settings, bool with_loudness) {
  const auto input = read_for_matching(reference.file, MatchRole::reference, settings);
  const auto config = config_for(settings, input.signal.sample_rate_hz);
  auto profile = with_context("analysing '" + reference.file.string() + "'", [&] {
    return with_loudness ? profile_with_loudness(input.signal, config) : reference_profile(input.signal, config);
  });
  return {reference, std::move(profile), input.remarks};
}

}  // namespace
}  // namespace match_sources_detail

AnalysedReference analysed(const NamedReference& reference, const MatchSettings& settings) {
  return match_sources_detail::analysed(reference, settings, !settings.is_exact());
}

AnalysedReference analysed_with_loudness(const NamedReference& reference, const MatchSettings& settings) {
  return match_sources_detail::analysed(reference, settings, true);
}

MatchProfile profile_of_file(const std::filesystem::path& path, const MatchSettings& settings) {
  if (path.extension() != ".safetensors") return analysed({path, 1}, settings).profile;
  auto preset = read_preset(path);
  if (settings.is_exact()) require_same_analysis(preset, settings.matching);
  return std::move(preset.profile);
}

std::vector<MatchStep> steps_of(const NamedSounds& sounds, const MatchSettings& settings,
                                std::vector<const MatchRemark*>& remarks) {
  const auto& [references, presets, presets_as] = sounds;
  (void)find_row(kPresetRules, presets_as, "way to take presets together", ErrorKind::usage);
  if (!references.empty() && !presets.empty()) {
    fail(ErrorKind::usage, "--reference and --preset do not go together; make a preset of the reference first");
  }
  if (settings.is_exact() && (references.size() > 1 || (presets.size() > 1 && presets_as == "weighted"))) {
    fail(ErrorKind::usage, "mode exact takes one reference, as Matchering does; several go together in mode improved");
  }
  if (references.empty() && presets.empty()) return {};
  std::vector<MatchStep> steps{{.rule = presets_as == "weighted" || !references.empty() ? ReferenceRule::weighted
                                                                                        : ReferenceRule::concatenated}};
  for (const auto& text : references) {
    if (const int stop = stop_requested()) throw Error::interrupted(stop, "matching stopped");
    auto reference = analysed(named_reference(text), settings);
    remarks.insert(remarks.end(), reference.remarks.begin(), reference.remarks.end());
    steps.front().references.push_back({std::move(reference.profile), reference.named.weight});
  }
  for (const auto& preset : presets) {
    if (presets_as == "sequence" && !steps.back().references.empty()) steps.push_back({.rule = steps.back().rule});
    steps.back().references.push_back({profile_of_file(preset, settings), 1});
  }
  return steps;
}

StereoSignal rendered(MatchedSong song, MatchFinish finish) {
  const auto n_frames = song.filtered.n_frames();
  std::vector<double> left(1 << 14), right(1 << 14);
  for (std::int64_t first = 0; first < n_frames; first += std::ssize(left)) {
    const auto count = static_cast<std::size_t>(std::min(std::ssize(left), n_frames - first));
    song.render(finish, first, std::span(left).first(count), std::span(right).first(count));
    std::copy_n(left.begin(), count, song.filtered.left.begin() + first);
    std::copy_n(right.begin(), count, song.filtered.right.begin() + first);
  }
  return std::move(song.filtered);
}

MatchedTarget matched(StereoSignal target, const std::vector<MatchStep>& steps, const MatchSettings& settings,
                      bool is_limited) {
  using namespace match_sources_detail;
  return settings.is_exact() ? matched_exactly(std::move(target), steps, settings, is_limited)
                             : improved(std::move(target), steps, settings, is_limited);
}

}  // namespace melisma
