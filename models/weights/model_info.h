// What people write into model files - name, author, description - and how it is changed without touching a tensor.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace melisma {

struct InfoChange {
  std::string key;
  std::optional<std::string> value;  // nothing = the entry is removed
};

// Whether a key of a native file's metadata is written by this program about its tensors: family, config, digest, ...
[[nodiscard]] bool is_program_metadata(std::string_view key);

// Writes `input` with the changes to `output`, which may be the same file, atomically. Of .safetensors the metadata is
// changed and every byte of the tensors copied as it is. Of .pth the entries beside the weights are; "name" is their
// "model_name", a whole number stays one, and the weights are written with the same values, contiguous. Error(usage)
// for keys that describe the weights (they would lie), for the removal of what is not there and for text where a number
// is kept; Error(checkpoint) for files that cannot hold such entries.
void edit_model_info(const std::filesystem::path& input, const std::filesystem::path& output,
                     const std::vector<InfoChange>& changes);

}  // namespace melisma
