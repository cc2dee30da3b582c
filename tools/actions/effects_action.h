// `melisma effects`: recordings through a chain of sound effects.
#pragma once
#include <filesystem>
#include <string>

namespace melisma {

struct EffectsOptions {
  std::filesystem::path input;   // a file, or a folder whose audio files are all processed
  std::filesystem::path output;  // a file, or a folder when input is one
  std::filesystem::path chain;   // a TOML file of [[effect]] tables (data/effects/effects.h)
  std::string format;            // empty = by extension; for folders empty = wav16
  bool json = false;
};

// Exit code 0 if every file was processed, 3 if any failed (the others are there).
int apply_effects(const EffectsOptions& options);

}  // namespace melisma
