// One track of a song, from file to part: decode, resample, store in blocks.
#pragma once
#include <filesystem>
#include <string>

#include "train/prepare/part.h"
#include "train/prepare/song_config.h"

namespace melisma {

// The settings that decide what the part of `track` holds, as canonical JSON.
[[nodiscard]] std::string converting_parameters(const SongConfig& config, const TrackSource& track);

// Converts `track` and writes the part file `part_path` (whole or not at all): its clips are blocks of one channel
// each, its sound_hash is the track_hash() of the dataset. Memory holds a few blocks, whatever the length. What cannot
// be used becomes a fate, never an exception; errors are those of the disk (device) and of the settings (config).
Part convert_track(const TrackSource& track, const SongConfig& config, const std::filesystem::path& part_path);

// Frames of each channel that a track's part holds.
[[nodiscard]] std::int64_t n_frames_of(const Part& part);

}  // namespace melisma
