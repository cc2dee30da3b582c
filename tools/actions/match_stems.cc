#include "tools/actions/match_stems.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/audio/audio_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"

namespace melisma {
namespace match_stems_action_detail {
namespace {

// "vocals=-3" in two.
std::pair<std::string, std::string> named(const std::string& option, const std::string& text) {
  const auto sign = text.find('=');
  if (sign == std::string::npos || sign == 0 || sign + 1 == text.size()) {
    fail(ErrorKind::usage, "{} takes name=value, found '{}'", option, text);
  }
  return {text.substr(0, sign), text.substr(sign + 1)};
}

double number_between(const std::string& option, const std::string& text, double low, double high) {
  double value = NAN;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || !(value >= low && value <= high)) {
    fail(ErrorKind::usage, "{} takes a number from {} to {}, found '{}'", option, low, high, text);
  }
  return value;
}

// wet and dry together, in place of wet.
void blend(StereoSignal& wet, const StereoSignal& dry, double share) {
  for (const auto& [to, from] : {std::pair{&wet.left, &dry.left}, {&wet.right, &dry.right}}) {
    for (std::size_t i = 0; i < to->size(); ++i) (*to)[i] = std::lerp((*from)[i], (*to)[i], share);
  }
}

// The stem as its plan wants it, before its gain.
StereoSignal made_of(MatchInput input, const StemPlan& plan, const MatchBatchOptions& options) {
  if (plan.steps.empty() || plan.control.blend == 0) return std::move(input.signal);
  const bool is_exact = options.settings.is_exact();
  std::optional<StereoSignal> dry;
  if (plan.control.blend < 1) dry = input.signal;
  // Matchering's way is limited stem by stem; the improved mode leaves the peaks to the master limiter.
  auto made = matched(std::move(input.signal), plan.steps, options.settings, is_exact);
  auto wet = rendered(std::move(made.song), is_exact ? MatchFinish::limited : MatchFinish::unlimited);
  if (dry) blend(wet, *dry, plan.control.blend);
  return wet;
}

}  // namespace
}  // namespace match_stems_action_detail

StemPlans::StemPlans(const MatchBatchOptions& options, std::vector<MatchStep> steps,
                     const std::set<std::string>& known) {
  using namespace match_stems_action_detail;
  others_.steps = std::move(steps);
  const auto plan = [&](const std::string& name) -> StemPlan& {
    if (!known.contains(name)) {
      fail(ErrorKind::usage, "no song has a stem '{}'; there are: {}", name, fmt::join(known, ", "));
    }
    return plans_.try_emplace(name, others_).first->second;
  };
  for (const auto& text : options.stem_references) {
    const auto [name, file] = named("--stem", text);
    plan(name).steps = {{.references = {{profile_of_file(file, options.settings), 1}}}};
  }
  for (const auto& text : options.gains) {
    const auto [name, value] = named("--gain", text);
    plan(name).control.gain_db = number_between("--gain", value, -60, 24);
  }
  for (const auto& text : options.mixes) {
    const auto [name, value] = named("--stem-mix", text);
    plan(name).control.blend = number_between("--stem-mix", value, 0, 1);
  }
  for (const auto& name : options.mutes) plan(name).control.is_muted = true;
}

const StemPlan& StemPlans::of(const std::string& name) const {
  const auto found = plans_.find(name);
  return found == plans_.end() ? others_ : found->second;
}

MixedStems mixed_stems(const std::filesystem::path& folder, const StemPlans& plans, const MatchBatchOptions& options) {
  using namespace match_stems_action_detail;
  MixedStems mixed{.rows = nlohmann::ordered_json::array()};
  for (const auto& file : find_audio_files(folder)) {
    if (const int stop = stop_requested()) throw Error::interrupted(stop, "matching stopped");
    const auto name = file.stem().string();
    const auto& plan = plans.of(name);
    const bool is_matched = !plan.control.is_muted && !plan.steps.empty() && plan.control.blend > 0;
    mixed.rows.push_back({{"stem", name},
                          {"fate", plan.control.is_muted ? "muted"
                                   : is_matched          ? "matched"
                                                         : "kept"},
                          {"gain_db", plan.control.gain_db},
                          {"blend", plan.control.blend}});
    if (plan.control.is_muted) continue;
    const auto stem = with_context("matching the stem '" + name + "'", [&] {
      return made_of(read_for_matching(file, MatchRole::target, options.settings), plan, options);
    });
    add_stem(mixed.sum, stem, factors_of({.gain_db = plan.control.gain_db}, options.master_gain_db).wet);
  }
  if (mixed.sum.n_frames() == 0) {
    fail(ErrorKind::data, "'{}' has no stem that is heard; files with these endings are read: {}", folder.string(),
         known_audio_extensions());
  }
  return mixed;
}

}  // namespace melisma
