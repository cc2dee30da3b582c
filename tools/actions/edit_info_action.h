// `melisma edit-info`: name, author and description of a model file.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct EditInfoOptions {
  std::filesystem::path workspace;
  std::filesystem::path file;        // .safetensors or .pth
  std::vector<std::string> sets;     // "key=value"
  std::vector<std::string> removes;  // keys
  std::filesystem::path output;      // empty = none
  bool in_place = false;             // the file itself; one of the two must be said
};

// Writes the file with its entries changed and its tensors as they were; one line on stdout. Exit code 0.
int edit_info(const EditInfoOptions& options);

}  // namespace melisma
