// PyTorch's own container (.pth, .pt, .ckpt): read as data, and written so that torch.load(weights_only=True) reads it.
#pragma once
#include <filesystem>

#include "models/weights/pickle_value.h"

namespace melisma {

// The value a file holds, its tensors views of the file. Understands the zip container (PyTorch since 1.6) and the one
// before it. Throws Error(checkpoint) with the reason for anything damaged or unsafe; runs nothing.
[[nodiscard]] PickleValue read_pth(const std::filesystem::path& path);

// True if the first bytes are those of a zip archive or of a pickle.
[[nodiscard]] bool looks_like_pth(const std::filesystem::path& path);

// Writes `value` atomically in the zip container, protocol 2, tensors contiguous. Tensors still to be made are made one
// by one, so that memory for one is enough. The bytes do not depend on the name of the file. Throws Error(device) if
// the disk refuses.
void write_pth(const std::filesystem::path& path, const PickleValue& value);

}  // namespace melisma
