// Audio files of any common kind: what is in one, reading it whole or in blocks, finding them in a folder.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/audio/waveform.h"

namespace melisma {

// Who decodes a file: the linked library, or the `ffmpeg` program, run when present.
enum class AudioDecoder { libsndfile, ffmpeg };

struct AudioExtension {
  std::string_view name;  // lower case, with the dot
  AudioDecoder decoder;   // tried first; whatever libsndfile cannot open goes to ffmpeg too
  std::string_view summary;
};

// The extensions that folder scans take for audio.
inline constexpr std::array kAudioExtensions{
    AudioExtension{".wav", AudioDecoder::libsndfile, "RIFF WAVE, any sample format"},
    AudioExtension{".w64", AudioDecoder::libsndfile, "Sony Wave64"},
    AudioExtension{".rf64", AudioDecoder::libsndfile, "WAVE past 4 GiB"},
    AudioExtension{".flac", AudioDecoder::libsndfile, "FLAC"},
    AudioExtension{".ogg", AudioDecoder::libsndfile, "Ogg Vorbis or Opus"},
    AudioExtension{".oga", AudioDecoder::libsndfile, "Ogg audio"},
    AudioExtension{".opus", AudioDecoder::libsndfile, "Ogg Opus (decoded at 48 kHz)"},
    AudioExtension{".mp3", AudioDecoder::libsndfile, "MPEG layer 3"},
    AudioExtension{".aif", AudioDecoder::libsndfile, "AIFF"},
    AudioExtension{".aiff", AudioDecoder::libsndfile, "AIFF"},
    AudioExtension{".aifc", AudioDecoder::libsndfile, "AIFF-C"},
    AudioExtension{".caf", AudioDecoder::libsndfile, "Apple Core Audio"},
    AudioExtension{".au", AudioDecoder::libsndfile, "Sun/NeXT"},
    AudioExtension{".snd", AudioDecoder::libsndfile, "Sun/NeXT"},
    AudioExtension{".m4a", AudioDecoder::ffmpeg, "MPEG-4 audio (AAC, ALAC)"},
    AudioExtension{".aac", AudioDecoder::ffmpeg, "raw AAC"},
    AudioExtension{".alac", AudioDecoder::ffmpeg, "Apple lossless"},
    AudioExtension{".ac3", AudioDecoder::ffmpeg, "Dolby Digital"},
    AudioExtension{".wma", AudioDecoder::ffmpeg, "Windows Media audio"},
    AudioExtension{".mp4", AudioDecoder::ffmpeg, "MPEG-4, first audio stream"},
    AudioExtension{".m4v", AudioDecoder::ffmpeg, "MPEG-4, first audio stream"},
    AudioExtension{".mov", AudioDecoder::ffmpeg, "QuickTime, first audio stream"},
    AudioExtension{".webm", AudioDecoder::ffmpeg, "WebM, first audio stream"},
    AudioExtension{".mkv", AudioDecoder::ffmpeg, "Matroska, first audio stream"},
    AudioExtension{".mka", AudioDecoder::ffmpeg, "Matroska audio"},
    AudioExtension{".avi", AudioDecoder::ffmpeg, "AVI, first audio stream"},
    AudioExtension{".amr", AudioDecoder::ffmpeg, "adaptive multi-rate speech"},
    AudioExtension{".3gp", AudioDecoder::ffmpeg, "mobile video, first audio stream"},
};

// The row for a path's extension in any case, or null: not a name of an audio file.
[[nodiscard]] const AudioExtension* audio_extension_of(const std::filesystem::path& path);

// ".wav .w64 ...": for people whose folder holds nothing that is read.
[[nodiscard]] std::string known_audio_extensions();

// Every audio file below `folder` (recursive, sorted, hidden files and folders left out).
// Throws Error(data) if the folder is missing or cannot be listed.
[[nodiscard]] std::vector<std::filesystem::path> find_audio_files(const std::filesystem::path& folder);

struct AudioInfo {
  std::int64_t sample_rate_hz = 0;
  std::int64_t n_channels = 0;
  std::optional<std::int64_t> n_frames;  // nothing where only decoding tells (what ffmpeg reads, some streams)
  std::string encoding;                  // "WAV (Microsoft), Signed 16 bit PCM" or "decoded by ffmpeg"
  AudioDecoder decoder = AudioDecoder::libsndfile;
};

// What a decoder gives: blocks of interleaved frames until there are none.
class AudioSource {
 public:
  virtual ~AudioSource() = default;
  [[nodiscard]] virtual const AudioInfo& info() const = 0;
  // Up to `n_frames` frames into interleaved[n_frames * channels]; 0 = end of the file. Throws Error(data) if the file
  // is damaged or ends before its header says.
  virtual std::int64_t read(float* interleaved, std::int64_t n_frames) = 0;
};

// Reads a file front to back in blocks: memory does not grow with its length. Integers of b bits become value /
// 2^(b-1).
class AudioReader {
 public:
  // Throws Error(data): missing, empty, unreadable, not audio, or in need of an ffmpeg that is not there.
  static AudioReader open(const std::filesystem::path& path);
  // Audio stream number `stream` (0 = the first) of a file with several, by ffmpeg.
  static AudioReader open_stream(const std::filesystem::path& path, int stream);

  [[nodiscard]] const AudioInfo& info() const { return source_->info(); }
  // The next `max_frames` frames or fewer, planar; no frames = end.
  [[nodiscard]] Waveform read(std::int64_t max_frames);
  // The next frames as the mean of all channels; returns how many of `mono` were filled, 0 = end.
  std::int64_t read_mono(std::span<float> mono);

 private:
  explicit AudioReader(std::unique_ptr<AudioSource> source) : source_(std::move(source)) {}
  std::int64_t read_block(std::int64_t max_frames);
  std::unique_ptr<AudioSource> source_;
  std::vector<float> interleaved_;
};

// Rate, channels and, where the header tells, length. Throws as AudioReader::open.
[[nodiscard]] AudioInfo probe_audio(const std::filesystem::path& path);

// The whole file at its own rate. Throws Error(data) as AudioReader, and for a file without samples.
[[nodiscard]] Waveform read_audio(const std::filesystem::path& path);

// The same as the mean of all channels: one channel.
[[nodiscard]] Waveform read_audio_mono(const std::filesystem::path& path);

// One channel that is the mean of all (librosa.to_mono).
[[nodiscard]] Waveform mixed_to_mono(const Waveform& wave);

}  // namespace melisma
