// What comes out of matching: files of any finish, and half a minute of before and after.
#pragma once
#include <cstdint>
#include <filesystem>

#include "data/audio/audio_writer.h"
#include "infer/match/match.h"

namespace melisma {

// Writes a finish to `path`, atomically and block by block. Returns the largest |sample| before the format cuts it.
// Errors as AudioWriter.
double write_matched(const std::filesystem::path& path, const MatchedSong& song, MatchFinish finish,
                     const AudioFormat& format);

// The stretch of a result worth hearing first: of windows every 5 s the loudest 30 s, faded in and out over a second or
// an eighth of it; all of a shorter one, unfaded.
struct PreviewWindow {
  std::int64_t first = 0, count = 0, fade = 0;  // frames
};
[[nodiscard]] PreviewWindow preview_window(const MatchedSong& song, MatchFinish finish);

// That stretch of the result.
[[nodiscard]] Waveform preview_of(const MatchedSong& song, MatchFinish finish, const PreviewWindow& window);
// That stretch of the target as it was, cut at the threshold.
[[nodiscard]] Waveform preview_of(const StereoSignal& target, double threshold, const PreviewWindow& window);

}  // namespace melisma
