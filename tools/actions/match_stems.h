// What is done to each stem of a batch's songs.
#pragma once
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "infer/match/stems.h"
#include "tools/actions/match_batch_action.h"
#include "tools/actions/match_sources.h"

namespace melisma {

struct StemPlan {
  std::vector<MatchStep> steps;  // none: the stem stays as it is
  StemControl control;
};

// Plans by name, for those that options speak of, and one for the others.
class StemPlans {
 public:
  // Throws Error(usage) for options that cannot be read, and for names that are none of `known`; as analysed().
  StemPlans(const MatchBatchOptions& options, std::vector<MatchStep> steps, const std::set<std::string>& known);
  [[nodiscard]] const StemPlan& of(const std::string& name) const;

 private:
  StemPlan others_;
  std::map<std::string, StemPlan> plans_;
};

struct MixedStems {
  StereoSignal sum;
  nlohmann::ordered_json rows;  // a stem each: name, fate, gain_db, blend
};

// The stems in a folder, matched one by one and added up. Throws Error(data) naming the stem that cannot be used: a
// song without it would be another song.
[[nodiscard]] MixedStems mixed_stems(const std::filesystem::path& folder, const StemPlans& plans,
                                     const MatchBatchOptions& options);

}  // namespace melisma
