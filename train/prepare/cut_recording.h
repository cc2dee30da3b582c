// One recording, from file to clips: decode, mono, resample, high-pass, level, slice, fingerprint.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "train/prepare/part.h"
#include "train/prepare/prepare_config.h"

namespace melisma {

// The settings that decide what a part holds, as canonical JSON.
[[nodiscard]] std::string cutting_parameters(const PrepareConfig& config);

// Prepares `recording` and writes the part file `part_path` (whole or not at all). Streams: memory holds
// `memory_samples` samples and the recording's levels, the rest waits in an unnamed file beside the part. What cannot
// be used becomes a fate, never an exception; errors are those of the disk (device) and of the settings (config). With
// `is_parallel` two threads share the work on this one recording; the part is the same.
Part cut_recording(const std::filesystem::path& recording, const PrepareConfig& config,
                   const std::filesystem::path& part_path, std::int64_t memory_samples, bool is_parallel);

}  // namespace melisma
