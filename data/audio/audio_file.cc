#include "data/audio/audio_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "data/audio/audio_sources.h"
#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kBlockFrames = 16384;

// What can be said of a path before any decoder looks at it.
void require_readable_file(const fs::path& path) {
  std::error_code code;
  const auto status = fs::status(path, code);
  if (!fs::exists(status)) fail(ErrorKind::data, "cannot read '{}': no such file", path.string());
  if (fs::is_directory(status)) fail(ErrorKind::data, "cannot read '{}': it is a folder", path.string());
  if (!fs::is_regular_file(status)) fail(ErrorKind::data, "cannot read '{}': not a regular file", path.string());
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(ErrorKind::data, "cannot read '{}': {}", path.string(), std::strerror(errno));
  ::close(descriptor);
  if (fs::file_size(path, code) == 0)
    fail(ErrorKind::data, "cannot read '{}': the file is empty (0 bytes)", path.string());
}

[[noreturn]] void fail_without_ffmpeg(const fs::path& path) {
  const auto* extension = audio_extension_of(path);
  if (extension != nullptr && extension->decoder == AudioDecoder::ffmpeg) {
    fail(ErrorKind::data,
         "cannot read '{}': {} files need the ffmpeg program, which is not in PATH; install ffmpeg or convert the file "
         "to wav or flac",
         path.string(), extension->name);
  }
  fail(ErrorKind::data,
       "cannot read '{}': not an audio format that libsndfile knows, and the ffmpeg program, which might know it, is "
       "not "
       "in PATH",
       path.string());
}

std::unique_ptr<AudioSource> open_source(const fs::path& path) {
  require_readable_file(path);
  if (auto source = open_with_libsndfile(path)) return source;
  if (auto source = open_with_ffmpeg(path)) return source;
  fail_without_ffmpeg(path);
}

void mix_block(std::span<const float> interleaved, std::int64_t n_channels, std::span<float> mono) {
  if (n_channels == 1) {
    std::copy_n(interleaved.begin(), mono.size(), mono.begin());
    return;
  }
  for (std::size_t frame = 0; frame < mono.size(); ++frame) {
    double sum = 0;
    for (std::int64_t channel = 0; channel < n_channels; ++channel) {
      sum += interleaved[frame * static_cast<std::size_t>(n_channels) + static_cast<std::size_t>(channel)];
    }
    mono[frame] = static_cast<float>(sum / static_cast<double>(n_channels));
  }
}

}  // namespace

const AudioExtension* audio_extension_of(const fs::path& path) {
  auto extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const auto* row = std::find_if(kAudioExtensions.begin(), kAudioExtensions.end(),
                                 [&](const AudioExtension& known) { return known.name == extension; });
  return row == kAudioExtensions.end() ? nullptr : row;
}

std::string known_audio_extensions() {
  std::string known;
  for (const auto& extension : kAudioExtensions) known += (known.empty() ? "" : " ") + std::string(extension.name);
  return known;
}

std::vector<fs::path> find_audio_files(const fs::path& folder) {
  std::error_code code;
  if (!fs::exists(folder, code)) fail(ErrorKind::data, "no folder '{}'", folder.string());
  if (!fs::is_directory(folder, code)) fail(ErrorKind::data, "'{}' is not a folder", folder.string());
  std::vector<fs::path> found;
  fs::recursive_directory_iterator entries(folder, code);
  for (; !code && entries != fs::recursive_directory_iterator(); entries.increment(code)) {
    const bool is_hidden = entries->path().filename().string().starts_with('.');
    std::error_code ignored;
    if (is_hidden) {
      if (entries->is_directory(ignored)) entries.disable_recursion_pending();
    } else if (entries->is_regular_file(ignored) && audio_extension_of(entries->path()) != nullptr) {
      found.push_back(entries->path());
    }
  }
  if (code) fail(ErrorKind::data, "cannot list folder '{}': {}", folder.string(), code.message());
  std::sort(found.begin(), found.end());
  return found;
}

AudioReader AudioReader::open(const fs::path& path) { return AudioReader(open_source(path)); }

AudioReader AudioReader::open_stream(const fs::path& path, int stream) {
  require_readable_file(path);
  if (auto source = open_with_ffmpeg(path, stream)) return AudioReader(std::move(source));
  fail_without_ffmpeg(path);
}

std::int64_t AudioReader::read_block(std::int64_t max_frames) {
  interleaved_.resize(static_cast<std::size_t>(max_frames * info().n_channels));
  std::int64_t filled = 0;
  while (filled < max_frames) {
    const auto count = source_->read(interleaved_.data() + filled * info().n_channels, max_frames - filled);
    if (count == 0) break;
    filled += count;
  }
  return filled;
}

Waveform AudioReader::read(std::int64_t max_frames) {
  const auto n_frames = read_block(max_frames);
  Waveform block{.samples = {}, .n_channels = info().n_channels, .sample_rate_hz = info().sample_rate_hz};
  block.samples.resize(static_cast<std::size_t>(n_frames * block.n_channels));
  for (std::int64_t channel = 0; channel < block.n_channels; ++channel) {
    auto out = block.channel(channel);
    const float* in = interleaved_.data() + channel;
    for (auto& sample : out) {
      sample = *in;
      in += block.n_channels;
    }
  }
  return block;
}

std::int64_t AudioReader::read_mono(std::span<float> mono) {
  std::int64_t filled = 0;
  const auto wanted = static_cast<std::int64_t>(mono.size());
  while (filled < wanted) {
    const auto count = read_block(std::min(kBlockFrames, wanted - filled));
    if (count == 0) break;
    mix_block(interleaved_, info().n_channels,
              mono.subspan(static_cast<std::size_t>(filled), static_cast<std::size_t>(count)));
    filled += count;
  }
  return filled;
}

AudioInfo probe_audio(const fs::path& path) { return AudioReader::open(path).info(); }

Waveform read_audio(const fs::path& path) {
  auto reader = AudioReader::open(path);
  const auto n_channels = reader.info().n_channels;
  std::vector<std::vector<float>> channels(static_cast<std::size_t>(n_channels));
  while (true) {
    const auto block = reader.read(kBlockFrames);
    if (block.n_frames() == 0) break;
    for (std::int64_t channel = 0; channel < n_channels; ++channel) {
      const auto samples = block.channel(channel);
      auto& whole = channels[static_cast<std::size_t>(channel)];
      whole.insert(whole.end(), samples.begin(), samples.end());
    }
  }
  if (channels.empty() || channels.front().empty()) fail(ErrorKind::data, "'{}' holds no samples", path.string());
  Waveform wave{
      .samples = std::move(channels.front()), .n_channels = n_channels, .sample_rate_hz = reader.info().sample_rate_hz};
  for (std::size_t channel = 1; channel < channels.size(); ++channel) {
    wave.samples.insert(wave.samples.end(), channels[channel].begin(), channels[channel].end());
    channels[channel] = {};
  }
  return wave;
}

Waveform read_audio_mono(const fs::path& path) {
  auto reader = AudioReader::open(path);
  Waveform wave{.samples = {}, .n_channels = 1, .sample_rate_hz = reader.info().sample_rate_hz};
  std::int64_t filled = 0;
  while (true) {
    wave.samples.resize(static_cast<std::size_t>(filled + kBlockFrames));
    const auto count = reader.read_mono(std::span(wave.samples).subspan(static_cast<std::size_t>(filled)));
    filled += count;
    if (count < kBlockFrames) break;
  }
  wave.samples.resize(static_cast<std::size_t>(filled));
  if (filled == 0) fail(ErrorKind::data, "'{}' holds no samples", path.string());
  return wave;
}

Waveform mixed_to_mono(const Waveform& wave) {
  if (wave.n_channels == 1) return wave;
  Waveform mono{.samples = std::vector<float>(static_cast<std::size_t>(wave.n_frames())),
                .n_channels = 1,
                .sample_rate_hz = wave.sample_rate_hz};
  for (std::size_t frame = 0; frame < mono.samples.size(); ++frame) {
    double sum = 0;
    for (std::int64_t channel = 0; channel < wave.n_channels; ++channel) sum += wave.channel(channel)[frame];
    mono.samples[frame] = static_cast<float>(sum / static_cast<double>(wave.n_channels));
  }
  return mono;
}

}  // namespace melisma
