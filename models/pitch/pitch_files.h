// The pitch networks of weight files: read, checked, built, and kept for the next recording.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "models/pitch/crepe.h"
#include "models/pitch/fcpe.h"
#include "models/pitch/rmvpe.h"

namespace melisma {

// Read from .pth, .pt or .safetensors by models/weights, which runs nothing. Throws Error(checkpoint) naming the file
// and everything in it that is missing, of another shape or not a number.
[[nodiscard]] std::shared_ptr<const Rmvpe> load_rmvpe(const std::filesystem::path& path);
[[nodiscard]] std::shared_ptr<const Crepe> load_crepe(const std::filesystem::path& path);
[[nodiscard]] std::shared_ptr<const Fcpe> load_fcpe(const std::filesystem::path& path);

// The file that a setting means: a path, or the name of a file in the folder of weights, which is $MELISMA_WEIGHTS, or
// else "weights" in $MELISMA_CACHE (default ~/.cache/melisma). Throws Error(checkpoint) saying where it was looked for.
[[nodiscard]] std::filesystem::path find_weights(const std::string& name_or_path);

// The SHA-256 of the file's bytes, remembered while the file stays as it is (size and time of writing).
[[nodiscard]] std::string sha256_of_weights(const std::filesystem::path& path);

}  // namespace melisma
