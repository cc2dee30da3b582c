// `melisma preview`: every voice of a folder says the same phrase, on one page.
#pragma once
#include <cstdint>
#include <filesystem>

namespace melisma {

struct PreviewOptions {
  std::filesystem::path workspace;
  std::filesystem::path folder;  // of .safetensors and .pth files, folders in it included
  std::filesystem::path output = "preview.html";
  std::filesystem::path input;  // the phrase: a recording; empty = one that is sung here (sung_phrase.h)
  double semitones = 0;         // added to the phrase's pitch
  std::uint64_t noise_seed = 0;
  bool json = false;
};

// Writes the page with a row for every file: its sound, or why there is none. Exit code 3 if any failed, else 0.
int preview(const PreviewOptions& options);

}  // namespace melisma
