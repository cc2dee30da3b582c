// The two decoders behind AudioReader; nobody else needs them.
#pragma once
#include <filesystem>
#include <memory>

#include "data/audio/audio_file.h"

namespace melisma {

// Null if libsndfile does not know the format. Throws Error(data) if it does and the file is damaged.
[[nodiscard]] std::unique_ptr<AudioSource> open_with_libsndfile(const std::filesystem::path& path);

// Audio stream number `stream` of the file. Null if there is no ffmpeg program in PATH. Throws Error(data) if ffmpeg
// cannot read the file.
[[nodiscard]] std::unique_ptr<AudioSource> open_with_ffmpeg(const std::filesystem::path& path, int stream = 0);

}  // namespace melisma
