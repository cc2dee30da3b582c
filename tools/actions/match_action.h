// `melisma match`: a recording in the sound of another one, or of several.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "infer/match/match_config.h"

namespace melisma {

struct MatchOptions {
  std::filesystem::path target;
  std::vector<std::string> references;                   // recordings, "file" or "file=weight"
  std::vector<std::filesystem::path> presets;            // instead of references
  std::string presets_as = "parallel";                   // row of kPresetRules
  MatchSettings settings;                                // mode, analysis, what is matched and how far
  std::vector<std::filesystem::path> limited;            // results through the limiter
  std::vector<std::filesystem::path> unlimited;          // without it, peaks past full scale kept
  std::vector<std::filesystem::path> normalised;         // without it, the peak just below full scale
  std::filesystem::path preview_target, preview_result;  // the loudest half minute before and after; empty = none
  std::string format;                                    // empty = by each output's extension
  bool explain = false;                                  // print what was changed
  bool json = false;
};

// Exit code 0; throws Error where a recording cannot be used or a result cannot be written, before anything is written.
int match(const MatchOptions& options);

}  // namespace melisma
