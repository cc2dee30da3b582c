#include <sndfile.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "data/audio/resample.h"
#include "data/effects/rates.h"
#include "tools/base/error.h"
#include "tools/base/format.h"

namespace melisma {
namespace {

constexpr std::array kMp3RatesHz{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
constexpr std::int64_t kBlockFrames = 8192;
// What comes before the signal where frames are too small for LAME's tag, which would say so: 576 of the encoder, 529
// of the decoder.
constexpr std::int64_t kUntaggedDelay = 1105;

// A file in memory, as libsndfile sees it.
struct MemoryFile {
  std::vector<char> bytes;
  std::int64_t at = 0;

  static MemoryFile& of(void* self) { return *static_cast<MemoryFile*>(self); }
  static SF_VIRTUAL_IO calls() {
    return {
        .get_filelen = [](void* self) -> sf_count_t { return std::ssize(of(self).bytes); },
        .seek = [](sf_count_t offset, int whence, void* self) -> sf_count_t {
          auto& file = of(self);
          return file.at = offset + (whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file.at : std::ssize(file.bytes));
        },
        .read = [](void* to, sf_count_t count, void* self) -> sf_count_t {
          auto& file = of(self);
          count = std::clamp<sf_count_t>(std::ssize(file.bytes) - file.at, 0, count);
          if (count > 0) std::memcpy(to, file.bytes.data() + file.at, static_cast<std::size_t>(count));
          file.at += count;
          return count;
        },
        .write = [](const void* from, sf_count_t count, void* self) -> sf_count_t {
          auto& file = of(self);
          if (file.at + count > std::ssize(file.bytes)) file.bytes.resize(static_cast<std::size_t>(file.at + count));
          if (count > 0) std::memcpy(file.bytes.data() + file.at, from, static_cast<std::size_t>(count));
          file.at += count;
          return count;
        },
        .tell = [](void* self) -> sf_count_t { return of(self).at; }};
  }
};

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using SoundFile = std::unique_ptr<SNDFILE, Close>;

// The lowest rate of MP3 that keeps all of the signal, if there is one.
std::int64_t rate_for(std::int64_t sample_rate_hz) {
  const auto* found = std::lower_bound(kMp3RatesHz.begin(), kMp3RatesHz.end(), sample_rate_hz);
  return found == kMp3RatesHz.end() ? kMp3RatesHz.back() : *found;
}

// libsndfile wants the bit rate as a share of the way from the highest of the rate's layer to the lowest.
double compression_for(int bitrate_kbps, std::int64_t rate_hz) {
  const double low = rate_hz >= 32000 ? 32 : 8, high = rate_hz >= 32000 ? 320 : rate_hz >= 16000 ? 160 : 64;
  return (high - std::clamp<double>(bitrate_kbps, low, high)) / (high - low);
}

class Mp3 final : public ElasticEffect {
 public:
  Mp3(const Mp3Settings& settings, const SignalShape& shape)
      : ElasticEffect(shape), rate_hz_(rate_for(shape.sample_rate_hz)), n_channels_(shape.n_channels) {
    for (std::int64_t c = 0; c < n_channels_; ++c) {
      there_.emplace_back(shape.sample_rate_hz, rate_hz_);
      back_.emplace_back(rate_hz_, shape.sample_rate_hz);
    }
    SF_INFO info{};
    info.samplerate = static_cast<int>(rate_hz_);
    info.channels = static_cast<int>(n_channels_);
    info.format = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
    auto calls = MemoryFile::calls();
    encoder_.reset(sf_open_virtual(&calls, SFM_WRITE, &info, &encoded_));
    if (encoder_ == nullptr) fail(ErrorKind::config, "libsndfile cannot write MP3: {}", sf_strerror(nullptr));
    double compression = compression_for(settings.bitrate_kbps, rate_hz_);
    sf_command(encoder_.get(), SFC_SET_COMPRESSION_LEVEL, &compression, sizeof(compression));
    waiting_.resize(static_cast<std::size_t>(n_channels_));
  }

 private:
  void feed(const Waveform& block, std::vector<std::vector<float>>&) override {
    for (std::size_t c = 0; c < waiting_.size(); ++c) {
      there_[c].push(block.channel(static_cast<std::int64_t>(c)), waiting_[c]);
    }
    encode(false);
  }

  // In blocks of one size, as the encoder could ask for.
  void encode(bool is_end) {
    std::vector<float> interleaved;
    std::size_t done = 0;
    const auto block = static_cast<std::size_t>(kBlockFrames);
    while (waiting_.front().size() - done >= (is_end ? 1 : block)) {
      const auto count = std::min(block, waiting_.front().size() - done);
      interleaved.resize(count * waiting_.size());
      for (std::size_t c = 0; c < waiting_.size(); ++c) {
        for (std::size_t n = 0; n < count; ++n) interleaved[n * waiting_.size() + c] = waiting_[c][done + n];
      }
      if (sf_writef_float(encoder_.get(), interleaved.data(), static_cast<sf_count_t>(count)) !=
          static_cast<sf_count_t>(count)) {
        fail(ErrorKind::internal, "encoding MP3: {}", sf_strerror(encoder_.get()));
      }
      done += count;
      n_encoded_ += static_cast<std::int64_t>(count);
    }
    for (auto& channel : waiting_) channel.erase(channel.begin(), channel.begin() + static_cast<std::ptrdiff_t>(done));
  }

  bool drain(std::vector<std::vector<float>>& made) override {
    if (decoder_ == nullptr) begin_to_decode();
    if (decoder_ == nullptr) return false;
    std::vector<float> interleaved(static_cast<std::size_t>(kBlockFrames * n_channels_));
    const auto count = sf_readf_float(decoder_.get(), interleaved.data(), kBlockFrames);
    const auto n_skipped = std::min(n_to_skip_, count);
    n_to_skip_ -= n_skipped;
    std::vector<float> channel(static_cast<std::size_t>(count - n_skipped));
    for (std::size_t c = 0; c < made.size(); ++c) {
      for (std::size_t n = 0; n < channel.size(); ++n) {
        channel[n] = interleaved[(n + static_cast<std::size_t>(n_skipped)) * made.size() + c];
      }
      back_[c].push(channel, made[c]);
      if (count == 0) back_[c].finish(made[c]);
    }
    return count > 0;
  }

  // An empty signal is not encoded.
  void begin_to_decode() {
    for (std::size_t c = 0; c < waiting_.size(); ++c) there_[c].finish(waiting_[c]);
    encode(true);
    encoder_.reset();
    if (n_encoded_ == 0) return;
    SF_INFO info{};
    encoded_.at = 0;
    auto calls = MemoryFile::calls();
    decoder_.reset(sf_open_virtual(&calls, SFM_READ, &info, &encoded_));
    if (decoder_ == nullptr) fail(ErrorKind::internal, "decoding MP3: {}", sf_strerror(nullptr));
    n_to_skip_ = info.frames == n_encoded_ ? 0 : kUntaggedDelay;
  }

  std::int64_t rate_hz_, n_channels_, n_encoded_ = 0, n_to_skip_ = 0;
  std::vector<StreamResampler> there_, back_;  // of MP3's rate, one a channel
  std::vector<std::vector<float>> waiting_;    // [channels] to be encoded
  MemoryFile encoded_;
  SoundFile encoder_, decoder_;
};

}  // namespace

std::unique_ptr<Effect> make_effect(const Mp3Settings& settings, const SignalShape& shape) {
  if (shape.n_channels > 2) {
    fail(ErrorKind::config, "MP3 has one channel or two, the signal {}",
         format_amount(static_cast<double>(shape.n_channels), "channels"));
  }
  return std::make_unique<Mp3>(settings, shape);
}

}  // namespace melisma
