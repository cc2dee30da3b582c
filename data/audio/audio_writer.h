// Writing audio files: whole and at once, or block by block.
#pragma once
#include <array>
#include <filesystem>
#include <memory>
#include <string_view>

#include "data/audio/waveform.h"

namespace melisma {

struct AudioFormat {
  std::string_view name;
  std::string_view extension;
  std::string_view summary;
};

inline constexpr std::array kAudioFormats{
    AudioFormat{"wav16", ".wav", "WAVE, 16-bit integers"},
    AudioFormat{"wav24", ".wav", "WAVE, 24-bit integers"},
    AudioFormat{"wav32", ".wav", "WAVE, 32-bit integers"},
    AudioFormat{"wav32f", ".wav", "WAVE, 32-bit floats: exact, values past 1 kept"},
    AudioFormat{"flac", ".flac", "FLAC, 24-bit, lossless"},
    AudioFormat{"flac16", ".flac", "FLAC, 16-bit, lossless"},
    AudioFormat{"ogg", ".ogg", "Ogg Vorbis, quality 6 of 10"},
};

// The row of that name; throws Error(usage) with did-you-mean.
[[nodiscard]] const AudioFormat& audio_format_named(std::string_view name);

// The first format with the extension of `path`; throws Error(usage) that lists the extensions there are.
[[nodiscard]] const AudioFormat& audio_format_for(const std::filesystem::path& path);

// Throws Error(usage) if the format cannot hold that rate or channel count.
void require_encodable(const AudioFormat& format, std::int64_t sample_rate_hz, std::int64_t n_channels);

// Writes a file block by block under exactly the name it is given; use it inside write_file_atomically, as write_audio
// does. Integer formats round half to even of x * 2^(bits-1) and clamp at full scale.
class AudioWriter {
 public:
  // Throws Error(device) if the file cannot be made, Error(usage) as require_encodable.
  AudioWriter(const std::filesystem::path& path, std::int64_t sample_rate_hz, std::int64_t n_channels,
              const AudioFormat& format);
  ~AudioWriter();
  AudioWriter(const AudioWriter&) = delete;
  AudioWriter& operator=(const AudioWriter&) = delete;

  // Appends a block of the same channel count. Throws Error(data) on a sample that is not finite (the format of the
  // file would hide it), Error(device) when the disk refuses.
  void write(const Waveform& block);
  // Completes the header and closes; throws Error(device). A writer destroyed without it leaves an incomplete file.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The whole of `wave` to `path`, atomically. Errors as AudioWriter.
void write_audio(const std::filesystem::path& path, const Waveform& wave, const AudioFormat& format);
void write_audio(const std::filesystem::path& path, const Waveform& wave, std::string_view format_name);
// In the format its extension names.
void write_audio(const std::filesystem::path& path, const Waveform& wave);

}  // namespace melisma
