#include "data/audio/audio_writer.h"

#include <sndfile.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
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
    Encoding{"wav16", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16}, Encoding{"wav24", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 24},
    Encoding{"wav32", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 32}, Encoding{"wav32f", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0},
    Encoding{"flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 24}, Encoding{"flac16", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16},
    Encoding{"ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 0},
};

const Encoding& encoding_of(const AudioFormat& format) {
  return find_row(kEncodings, format.name, "audio format", ErrorKind::internal);
}

SF_INFO settings_of(const AudioFormat& format, std::int64_t sample_rate_hz, std::int64_t n_channels) {
  SF_INFO info{};
  info.samplerate = static_cast<int>(sample_rate_hz);
  info.channels = static_cast<int>(n_channels);
  info.format = encoding_of(format).format;
  return info;
}

// A file that keeps nothing: what an encoder thinks of its settings shows when it writes.
class Nowhere {
 public:
  bool takes(SF_INFO info) {
    if (sf_format_check(&info) == 0) return false;
    SF_VIRTUAL_IO calls{[](void* self) { return of(self).size_; },
                        [](sf_count_t offset, int whence, void* self) {
                          auto& file = of(self);
                          const auto from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file.at_ : file.size_;
                          return file.at_ = from + offset;
                        },
                        [](void*, sf_count_t, void*) -> sf_count_t { return 0; },
                        [](const void*, sf_count_t count, void* self) {
                          auto& file = of(self);
                          file.at_ += count;
                          file.size_ = std::max(file.size_, file.at_);
                          return count;
                        },
                        [](void* self) { return of(self).at_; }};
    SNDFILE* file = sf_open_virtual(&calls, SFM_WRITE, &info, this);
    if (file == nullptr) return false;
    const std::vector<float> silence(static_cast<std::size_t>(kBlockFrames * info.channels));
    const bool is_taken = sf_writef_float(file, silence.data(), kBlockFrames) == kBlockFrames;
    sf_close(file);
    return is_taken;
  }

 private:
  static Nowhere& of(void* self) { return *static_cast<Nowhere*>(self); }
  sf_count_t at_ = 0, size_ = 0;
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
  [[noreturn]] void fail_write() const {
    if (errno != 0) fail_to_write(path, errno);
    fail(ErrorKind::device, "cannot write '{}': {}", path.string(), sf_strerror(file));
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

void require_encodable(const AudioFormat& format, std::int64_t sample_rate_hz, std::int64_t n_channels) {
  if (Nowhere().takes(settings_of(format, sample_rate_hz, n_channels))) return;
  fail(ErrorKind::usage, "{} cannot hold {} at {} Hz; choose another format or rate", format.name,
       format_amount(static_cast<double>(n_channels), "channels"), sample_rate_hz);
}

AudioWriter::AudioWriter(const fs::path& path, std::int64_t sample_rate_hz, std::int64_t n_channels,
                         const AudioFormat& format)
    : state_(std::make_unique<State>()) {
  require_encodable(format, sample_rate_hz, n_channels);
  auto info = settings_of(format, sample_rate_hz, n_channels);
  state_->path = path;
  state_->n_channels = n_channels;
  state_->sample_rate_hz = sample_rate_hz;
  state_->bits = encoding_of(format).bits;
  errno = 0;
  state_->file = sf_open(path.c_str(), SFM_WRITE, &info);
  if (state_->file == nullptr) fail_to_write(path, errno != 0 ? errno : EIO);
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
  if (code != 0) fail_to_write(state_->path, errno != 0 ? errno : EIO);
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
