#include "infer/mixdown/stem_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "data/audio/audio_file.h"
#include "data/audio/loudness.h"
#include "data/audio/resample.h"
#include "tools/base/error.h"

namespace melisma {
namespace stem_store {
namespace {

constexpr std::int64_t kBlockFrames = 1 << 16;

// One channel on its way to its file, at the store's rate.
class ChannelFile {
 public:
  ChannelFile(const std::filesystem::path& path, std::int64_t from_hz, std::int64_t to_hz)
      : path_(path), file_(path, std::ios::binary) {
    if (from_hz != to_hz) resampler_.emplace(from_hz, to_hz);
  }
  // Appends what the block determines to `out` and to the file.
  void push(std::span<const float> block, std::vector<float>& out) {
    if (resampler_) {
      resampler_->push(block, out);
    } else {
      out.assign(block.begin(), block.end());
    }
    write(out);
  }
  void finish(std::vector<float>& out) {
    if (resampler_) resampler_->finish(out);
    write(out);
    file_.flush();
    if (!file_) fail(ErrorKind::device, "there is no room for '{}'; free some, or set TMPDIR", path_.string());
  }
  [[nodiscard]] std::int64_t n_frames() const { return n_frames_; }

 private:
  void write(std::span<const float> samples) {
    file_.write(reinterpret_cast<const char*>(samples.data()), static_cast<std::streamsize>(samples.size_bytes()));
    n_frames_ += std::ssize(samples);
  }
  std::filesystem::path path_;
  std::ofstream file_;
  std::optional<StreamResampler> resampler_;
  std::int64_t n_frames_ = 0;
};

Waveform planar(const std::vector<std::vector<float>>& channels, std::int64_t sample_rate_hz) {
  Waveform wave{{}, std::ssize(channels), sample_rate_hz};
  for (const auto& channel : channels) wave.samples.insert(wave.samples.end(), channel.begin(), channel.end());
  return wave;
}

}  // namespace
}  // namespace stem_store

StemStore::StemStore(const std::vector<std::filesystem::path>& stems, std::int64_t sample_rate_hz,
                     const std::function<void(std::size_t)>& progress)
    : sample_rate_hz_(sample_rate_hz) {
  for (std::size_t i = 0; i < stems.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (stems[k].stem() != stems[i].stem()) continue;
      fail(ErrorKind::usage, "'{}' and '{}' would both be called '{}'; rename one", stems[k].string(),
           stems[i].string(), stems[i].stem().string());
    }
  }
  for (std::size_t i = 0; i < stems.size(); ++i) {
    with_context(fmt::format("reading '{}'", stems[i].string()), [&] { add(stems[i], i); });
    if (progress) progress(i + 1);
  }
}

std::filesystem::path StemStore::file_of(std::size_t channel) const { return folder_ / fmt::format("{}.f32", channel); }

void StemStore::add(const std::filesystem::path& file, std::size_t stem) {
  auto reader = AudioReader::open(file);
  const auto& info = reader.info();
  const std::size_t n_channels = info.n_channels == 2 ? 2 : 1;
  std::vector<std::unique_ptr<stem_store::ChannelFile>> files;
  for (std::size_t c = 0; c < n_channels; ++c) {
    files.push_back(
        std::make_unique<stem_store::ChannelFile>(file_of(channels_.size() + c), info.sample_rate_hz, sample_rate_hz_));
  }
  LoudnessMeter meter(sample_rate_hz_, static_cast<std::int64_t>(n_channels), {.true_peak = false, .maxima = false});
  std::vector<std::vector<float>> pieces(n_channels);
  const auto measure = [&] {
    if (!pieces[0].empty()) meter.add(stem_store::planar(pieces, sample_rate_hz_));
    for (auto& piece : pieces) piece.clear();
  };
  while (true) {
    const auto read = reader.read(stem_store::kBlockFrames);
    if (read.n_frames() == 0) break;
    const auto block = info.n_channels > 2 ? mixed_to_mono(read) : read;
    for (std::size_t c = 0; c < n_channels; ++c) files[c]->push(block.channel(static_cast<std::int64_t>(c)), pieces[c]);
    measure();
  }
  for (std::size_t c = 0; c < n_channels; ++c) files[c]->finish(pieces[c]);
  measure();
  if (files[0]->n_frames() == 0) fail(ErrorKind::data, "'{}' holds no samples", file.string());
  const auto name = file.stem().string();
  for (std::size_t c = 0; c < n_channels; ++c) {
    const bool is_left = n_channels == 2 && c == 0, is_right = n_channels == 2 && c == 1;
    channels_.push_back({name + (is_left    ? ".left"
                                 : is_right ? ".right"
                                            : ""),
                         stem, is_left, is_right, files[c]->n_frames(), meter.integrated_lufs()});
    n_frames_ = std::max(n_frames_, files[c]->n_frames());
  }
}

std::vector<std::string> StemStore::names() const {
  std::vector<std::string> names;
  for (const auto& channel : channels_) names.push_back(channel.name);
  return names;
}

void StemStore::read(std::size_t channel, std::int64_t first, std::span<float> out) const {
  std::ranges::fill(out, 0.0F);
  const auto begin = std::max<std::int64_t>(first, 0);
  const auto end = std::min(first + std::ssize(out), channels_[channel].n_frames);
  if (begin >= end) return;
  std::ifstream file(file_of(channel), std::ios::binary);
  file.seekg(static_cast<std::streamoff>(begin * static_cast<std::int64_t>(sizeof(float))));
  file.read(reinterpret_cast<char*>(out.data() + (begin - first)),
            static_cast<std::streamsize>((end - begin) * static_cast<std::int64_t>(sizeof(float))));
  if (!file) fail(ErrorKind::device, "a scratch file of '{}' cannot be read again", channels_[channel].name);
}

}  // namespace melisma
