// What `melisma match` works on: a target and the sounds it is to get, read, checked and matched in either mode.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
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

// Reads a recording at the rate of the mode: the settings' or its own. Throws as read_match_input.
[[nodiscard]] MatchInput read_for_matching(const std::filesystem::path& path, MatchRole role,
                                           const MatchSettings& settings);
// Likewise, and analyses it: with its loudness in mode improved.
[[nodiscard]] AnalysedReference analysed(const NamedReference& reference, const MatchSettings& settings);

// What is matched in one go, whichever mode: a step of several where sounds are applied one after the other.
struct MatchStep {
  std::vector<WeightedProfile> references;
  ReferenceRule rule = ReferenceRule::weighted;
};

struct MatchedTarget {
  MatchedSong song;
  std::optional<ImprovedRecord> improved;  // of mode improved
};

// Each step on what the one before made. Throws as match_to and improve.
[[nodiscard]] MatchedTarget matched(StereoSignal target, const std::vector<MatchStep>& steps,
                                    const MatchSettings& settings, bool is_limited);

}  // namespace melisma
