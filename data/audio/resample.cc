#include "data/audio/resample.h"

#include <soxr.h>

#include <algorithm>
#include <utility>

#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr std::size_t kBlockFrames = 65536;

soxr_t create(std::int64_t from_hz, std::int64_t to_hz, ResampleQuality quality) {
  if (from_hz < 1 || to_hz < 1) fail(ErrorKind::config, "cannot resample from {} Hz to {} Hz", from_hz, to_hz);
  const auto recipe = soxr_quality_spec(quality == ResampleQuality::high ? SOXR_HQ : SOXR_VHQ, 0);
  const auto samples = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const auto resources = soxr_runtime_spec(1);
  soxr_error_t error = nullptr;
  soxr_t made =
      soxr_create(static_cast<double>(from_hz), static_cast<double>(to_hz), 1, &error, &samples, &recipe, &resources);
  if (error != nullptr) fail(ErrorKind::config, "cannot resample from {} Hz to {} Hz: {}", from_hz, to_hz, error);
  return made;
}

}  // namespace

struct StreamResampler::State {
  soxr_t handle = nullptr;  // null when both rates are equal
  double ratio = 1;
  ~State() {
    if (handle != nullptr) soxr_delete(handle);
  }

  // Feeds a block (null = end of input) and appends what comes out.
  void process(const float* block, std::size_t n_in, std::vector<float>& out) {
    while (true) {
      const auto room = static_cast<std::size_t>(static_cast<double>(n_in) * ratio) + 1024;
      const auto begin = out.size();
      out.resize(begin + room);
      std::size_t n_used = 0, n_made = 0;
      const auto error = soxr_process(handle, block, n_in, &n_used, out.data() + begin, room, &n_made);
      out.resize(begin + n_made);
      if (error != nullptr) fail(ErrorKind::internal, "resampling: {}", error);
      if (block != nullptr) {
        block += n_used;
        n_in -= n_used;
      }
      const bool is_drained = block == nullptr ? n_made == 0 : n_in == 0 && n_made < room;
      if (is_drained) return;
    }
  }
};

StreamResampler::StreamResampler(std::int64_t from_hz, std::int64_t to_hz, ResampleQuality quality)
    : state_(std::make_unique<State>()) {
  if (from_hz == to_hz && from_hz >= 1) return;
  state_->handle = create(from_hz, to_hz, quality);
  state_->ratio = static_cast<double>(to_hz) / static_cast<double>(from_hz);
}

StreamResampler::~StreamResampler() = default;
StreamResampler::StreamResampler(StreamResampler&&) noexcept = default;
StreamResampler& StreamResampler::operator=(StreamResampler&&) noexcept = default;

void StreamResampler::push(std::span<const float> block, std::vector<float>& out) {
  if (state_->handle == nullptr) {
    out.insert(out.end(), block.begin(), block.end());
    return;
  }
  while (!block.empty()) {
    const auto count = std::min(kBlockFrames, block.size());
    state_->process(block.data(), count, out);
    block = block.subspan(count);
  }
}

void StreamResampler::finish(std::vector<float>& out) {
  if (state_->handle != nullptr) state_->process(nullptr, 0, out);
}

std::int64_t resampled_length(std::int64_t n_frames, std::int64_t from_hz, std::int64_t to_hz) {
  return static_cast<std::int64_t>(
      static_cast<double>(n_frames) * static_cast<double>(to_hz) / static_cast<double>(from_hz) + 0.5);
}

std::vector<float> resample(std::span<const float> samples, std::int64_t from_hz, std::int64_t to_hz,
                            ResampleQuality quality) {
  StreamResampler stream(from_hz, to_hz, quality);
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(resampled_length(static_cast<std::int64_t>(samples.size()), from_hz,
                                                        std::max<std::int64_t>(to_hz, 1))) +
              2048);
  stream.push(samples, out);
  stream.finish(out);
  return out;
}

Waveform resample(const Waveform& wave, std::int64_t rate_hz, ResampleQuality quality) {
  if (wave.sample_rate_hz == rate_hz) return wave;
  Waveform result{.samples = {}, .n_channels = wave.n_channels, .sample_rate_hz = rate_hz};
  for (std::int64_t channel = 0; channel < wave.n_channels; ++channel) {
    const auto samples = resample(wave.channel(channel), wave.sample_rate_hz, rate_hz, quality);
    result.samples.insert(result.samples.end(), samples.begin(), samples.end());
  }
  return result;
}

}  // namespace melisma
