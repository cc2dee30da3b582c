// `melisma match`: a recording in the sound of another one.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct MatchOptions {
  std::filesystem::path target, reference;
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
