// The pitch networks of weight files: read, checked, built, and kept for the next recording.
#pragma once
#include <filesystem>
#include <memory>

#include "models/catalogue/weights_folder.h"
#include "models/pitch/crepe.h"
#include "models/pitch/fcpe.h"
#include "models/pitch/rmvpe.h"

namespace melisma {

// Read from .pth, .pt or .safetensors by models/weights, which runs nothing. Throws Error(checkpoint) naming the file
// and everything in it that is missing, of another shape or not a number.
[[nodiscard]] std::shared_ptr<const Rmvpe> load_rmvpe(const std::filesystem::path& path);
[[nodiscard]] std::shared_ptr<const Crepe> load_crepe(const std::filesystem::path& path);
[[nodiscard]] std::shared_ptr<const Fcpe> load_fcpe(const std::filesystem::path& path);

}  // namespace melisma
