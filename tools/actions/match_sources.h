// What `melisma match` works on: a target and the sounds it is to get, read, checked and matched in either mode.
#pragma once
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/match/goal.h"
#include "infer/match/improve.h"
#include "infer/match/match_input.h"

namespace melisma {

// A reference as people name it.
struct NamedReference {
  std::filesystem::path file;
  double weight = 1;
};

// "song.wav" or "song.wav=2"; a file of that whole name goes first. Throws Error(usage) for a weight that is none.
[[nodiscard]] NamedReference named_reference(const std::string& text);

// A reference analysed; of its recording nothing is kept.
struct AnalysedReference {
  NamedReference named;
  MatchProfile profile;
  std::vector<const MatchRemark*> remarks;
};

// How several presets go together.
struct PresetRule {
  std::string_view name, summary;
};
inline constexpr std::array kPresetRules{
    PresetRule{"parallel", "as if their loud pieces were one recording's"},
    PresetRule{"sequence", "one after the other, each on what the one before made"},
    PresetRule{"weighted", "their mean, all at one level (mode improved)"},
};

// Reads a recording at the rate of the mode: the settings' or its own. Throws as read_match_input.
[[nodiscard]] MatchInput read_for_matching(const std::filesystem::path& path, MatchRole role,
                                           const MatchSettings& settings);
// Likewise, and analyses it: with its loudness in mode improved.
[[nodiscard]] AnalysedReference analysed(const NamedReference& reference, const MatchSettings& settings);
// With its loudness in either mode: what a preset holds.
[[nodiscard]] AnalysedReference analysed_with_loudness(const NamedReference& reference, const MatchSettings& settings);
// A preset (.safetensors) read, with what mode exact wants checked; anything else is analysed as a recording.
[[nodiscard]] MatchProfile profile_of_file(const std::filesystem::path& path, const MatchSettings& settings);

// What is matched in one go, whichever mode: a step of several where sounds are applied one after the other.
struct MatchStep {
  std::vector<WeightedProfile> references;
  ReferenceRule rule = ReferenceRule::weighted;
};

// The sounds a command line names: references, or presets, or neither.
struct NamedSounds {
  const std::vector<std::string>& references;  // as named_reference() reads them
  const std::vector<std::filesystem::path>& presets;
  const std::string& presets_as;  // row of kPresetRules
};

// One step, or one a preset in sequence; none for no sound. Appends what is said of the references. Throws Error(usage)
// for both kinds at once, and for what mode exact does not know.
[[nodiscard]] std::vector<MatchStep> steps_of(const NamedSounds& sounds, const MatchSettings& settings,
                                              std::vector<const MatchRemark*>& remarks);

struct MatchedTarget {
  MatchedSong song;
  std::optional<ImprovedRecord> improved;  // of mode improved
};

// Each step on what the one before made. Throws as match_to and improve.
[[nodiscard]] MatchedTarget matched(StereoSignal target, const std::vector<MatchStep>& steps,
                                    const MatchSettings& settings, bool is_limited);

// All of a finish, in place of the song.
[[nodiscard]] StereoSignal rendered(MatchedSong song, MatchFinish finish);

}  // namespace melisma
