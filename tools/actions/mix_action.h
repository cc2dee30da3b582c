// `melisma mix`: stems to a mix, by a model or by their loudness, with every parameter shown and changeable.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct MixOptions {
  std::vector<std::filesystem::path> stems;
  std::filesystem::path output, reference, sheet;  // sheet: a JSON file of every parameter; empty = none
  std::string model;                               // a run or a model file; empty = equal loudness
  std::string which = "best";                      // checkpoint of a run
  std::vector<std::string> set;                    // "vocals.fader_db=-3"
  std::string optimize;                            // "reference" or empty
  std::int64_t steps = 60;
  double lufs = 0;  // loudness of the mix; 0 = as it comes (without a model: -16 LUFS)
  std::string format;
  std::filesystem::path workspace;
  bool json = false;
};

// Exit code 0; throws Error where something does not fit, before the output is written.
int mix(const MixOptions& options);

}  // namespace melisma
