// `melisma match analyze|import|show`: what matching knows of a reference, as a file.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "infer/match/match_config.h"

namespace melisma {

struct MatchPresetOptions {
  enum class Work { analyze, import_pickled, show };
  Work work = Work::show;
  std::vector<std::filesystem::path> inputs;  // a recording; a pickled preset; presets
  std::filesystem::path output;               // .safetensors; not for show
  MatchSettings settings;                     // of the analysis; import: sample_rate_hz is that of the pickle
  bool json = false;
};

// Exit code 0; throws Error where an input cannot be used or the preset not be written.
int match_preset(const MatchPresetOptions& options);

}  // namespace melisma
