// `melisma match batch`: a folder of songs, or of songs in stems, in the sound of a reference.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "infer/match/match_config.h"

namespace melisma {

struct MatchBatchOptions {
  std::filesystem::path folder, output;
  std::vector<std::string> references;         // "file" or "file=weight": of every song, or stem without its own
  std::vector<std::filesystem::path> presets;  // instead
  std::string presets_as = "parallel";         // row of kPresetRules
  MatchSettings settings;
  bool is_stems = false;                     // each folder in `folder` is a song, its recordings are the stems
  std::vector<std::string> stem_references;  // "vocals=file": a recording or preset, instead of the references
  std::vector<std::string> gains;            // "vocals=-3", in dB
  std::vector<std::string> mutes;            // names
  std::vector<std::string> mixes;            // "vocals=0.5": share of the matched stem
  double master_gain_db = 0;
  bool has_master_limiter = true;
  std::string format;          // empty = wav16
  int jobs = 0;                // songs at once; 0 = as many as there are processors
  std::int64_t memory_mb = 0;  // that songs may take together; 0 = half of the machine's
  bool json = false;
};

// Exit code 0 if every song was matched, 3 if any failed (the others are there).
int match_batch(const MatchBatchOptions& options);

}  // namespace melisma
