#include "data/audio/audio_writer.h"

#include <sndfile.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kBlockFrames = 4096;  // libsndfile's Vorbis writer keeps a block on the stack
constexpr double kVorbisQuality = 0.6;

struct Encoding {
  std::string_view name;
  int format;
  int bits;  // 0 = samples are written as floats
};

constexpr std::array kEncodings{
    Encoding{"wav16", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16},   Encoding{"wav24", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 24},
    Encoding{"wav32f", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0},    Encoding{"flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 24},
    Encoding{"flac16", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16}, Encoding{"ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 0},
};

}  // namespace

struct AudioWriter::State {
  fs::path path;
  SNDFILE* file = nullptr;
  std::int64_t n_channels = 0, sample_rate_hz = 0, n_written = 0;
  int bits = 0;
  std::vector<float> floats;  // interleaved block
  std::vector<int> integers;

  ~State() {
    if (file != nullptr) sf_close(file);
  }
  [[noreturn]] void fail_write(const std::string& cause) const {
    fail(ErrorKind::device, "cannot write '{}': {}", path.string(), cause);
  }
  [[noreturn]] void fail_write() const {
    fail_write(errno == ENOSPC || errno == EDQUOT ? "the disk is full; free space or name another folder"
                                                  : std::string(sf_strerror(file)));
  }
  void interleave(const Waveform& block, std::int64_t first, std::int64_t count);
  void write_floats(std::int64_t count) {
    if (sf_writef_float(file, floats.data(), count) != count) fail_write();
  }
  void write_integers(std::int64_t count);
};

void AudioWriter::State::interleave(const Waveform& block, std::int64_t first, std::int64_t count) {
  floats.resize(static_cast<std::size_t>(count * n_channels));
  for (std::int64_t channel = 0; channel < n_channels; ++channel) {
    const auto samples =
        block.channel(channel).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    float* out = floats.data() + channel;
    for (const float sample : samples) {
      if (!std::isfinite(sample)) {
        fail(ErrorKind::data, "cannot write '{}': sample {} of channel {} is not finite", path.string(),
             n_written + (out - floats.data()) / n_channels, channel);
      }
      *out = sample;
      out += n_channels;
    }
  }
}

// 24 bits and 16 bits travel in the high end of an int.
void AudioWriter::State::write_integers(std::int64_t count) {
  const double scale = std::ldexp(1.0, bits - 1);
  integers.resize(floats.size());
  std::transform(floats.begin(), floats.end(), integers.begin(), [&](float sample) {
    const double value = std::clamp(std::nearbyint(static_cast<double>(sample) * scale), -scale, scale - 1);
    return static_cast<int>(value) * (1 << (32 - bits));
  });
  if (sf_writef_int(file, integers.data(), count) != count) fail_write();
}

const AudioFormat& audio_format_named(std::string_view name) {
  return find_row(kAudioFormats, name, "audio format", ErrorKind::usage);
}

const AudioFormat& audio_format_for(const fs::path& path) {
  auto extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  std::string known;
  for (const auto& format : kAudioFormats) {
    if (format.extension == extension) return format;
    if (known.find(format.extension) == std::string::npos) known += fmt::format(" {}", format.extension);
  }
  fail(ErrorKind::usage, "cannot tell the audio format of '{}' from its extension; known:{}", path.string(), known);
}

AudioWriter::AudioWriter(const fs::path& path, std::int64_t sample_rate_hz, std::int64_t n_channels,
                         const AudioFormat& format)
    : state_(std::make_unique<State>()) {
  const auto& encoding = find_row(kEncodings, format.name, "audio format", ErrorKind::internal);
  state_->path = path;
  state_->n_channels = n_channels;
  state_->sample_rate_hz = sample_rate_hz;
  state_->bits = encoding.bits;
  SF_INFO info{};
  info.samplerate = static_cast<int>(sample_rate_hz);
  info.channels = static_cast<int>(n_channels);
  info.format = encoding.format;
  if (sf_format_check(&info) == 0) {
    fail(ErrorKind::usage, "cannot write '{}': {} cannot hold {} channels at {} Hz", path.string(), format.name,
         n_channels, sample_rate_hz);
  }
  errno = 0;
  state_->file = sf_open(path.c_str(), SFM_WRITE, &info);
  if (state_->file == nullptr) {
    state_->fail_write(errno != 0 ? std::strerror(errno) : fmt::format("{} refuses its settings", format.name));
  }
  double quality = kVorbisQuality;
  sf_command(state_->file, SFC_SET_VBR_ENCODING_QUALITY, &quality, sizeof(quality));
  sf_command(state_->file, SFC_SET_ADD_PEAK_CHUNK, nullptr, SF_FALSE);  // it holds the time of day
}

AudioWriter::~AudioWriter() = default;

void AudioWriter::write(const Waveform& block) {
  if (block.n_channels != state_->n_channels) {
    fail(ErrorKind::internal, "a block of {} channels for a file of {}", block.n_channels, state_->n_channels);
  }
  errno = 0;
  for (std::int64_t first = 0; first < block.n_frames(); first += kBlockFrames) {
    const auto count = std::min(kBlockFrames, block.n_frames() - first);
    state_->interleave(block, first, count);
    if (state_->bits == 0) {
      state_->write_floats(count);
    } else {
      state_->write_integers(count);
    }
    state_->n_written += count;
  }
}

void AudioWriter::finish() {
  errno = 0;
  sf_write_sync(state_->file);
  const int code = sf_close(state_->file);
  state_->file = nullptr;
  if (code != 0)
    state_->fail_write(errno == ENOSPC ? "the disk is full; free space or name another folder" : "closing failed");
}

void write_audio(const fs::path& path, const Waveform& wave, const AudioFormat& format) {
  write_file_atomically(path, [&](const fs::path& temporary) {
    AudioWriter writer(temporary, wave.sample_rate_hz, wave.n_channels, format);
    writer.write(wave);
    writer.finish();
  });
}

void write_audio(const fs::path& path, const Waveform& wave, std::string_view format_name) {
  write_audio(path, wave, audio_format_named(format_name));
}

void write_audio(const fs::path& path, const Waveform& wave) { write_audio(path, wave, audio_format_for(path)); }

}  // namespace melisma
