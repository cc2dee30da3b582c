#include "data/audio/loudness.h"

#include <ebur128.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr double kSilence = -std::numeric_limits<double>::infinity();

}  // namespace

struct LoudnessMeter::State {
  ebur128_state* meter = nullptr;
  std::int64_t sample_rate_hz, n_channels, n_frames = 0;
  std::vector<float> interleaved;
  ~State() {
    if (meter != nullptr) ebur128_destroy(&meter);
  }
  void require(int code) const {
    if (code != EBUR128_SUCCESS) fail(ErrorKind::internal, "loudness: libebur128 answers {}", code);
  }
  double value(int (*read)(ebur128_state*, double*)) const {
    double result = kSilence;
    require(read(meter, &result));
    return result == -HUGE_VAL ? kSilence : result;
  }
  bool has_filled(double seconds) const {
    return static_cast<double>(n_frames) >= seconds * static_cast<double>(sample_rate_hz);
  }
  double peak_db(int (*read)(ebur128_state*, unsigned int, double*)) const {
    double largest = 0;
    for (std::int64_t channel = 0; channel < n_channels; ++channel) {
      double peak = 0;
      require(read(meter, static_cast<unsigned int>(channel), &peak));
      largest = std::max(largest, peak);
    }
    return largest > 0 ? 20 * std::log10(largest) : kSilence;
  }
};

LoudnessMeter::LoudnessMeter(std::int64_t sample_rate_hz, std::int64_t n_channels, bool has_true_peak)
    : state_(std::make_unique<State>()) {
  const int modes = EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_S | EBUR128_MODE_M | EBUR128_MODE_SAMPLE_PEAK;
  state_->sample_rate_hz = sample_rate_hz;
  state_->n_channels = n_channels;
  state_->meter = ebur128_init(static_cast<unsigned int>(n_channels), static_cast<unsigned long>(sample_rate_hz),
                               has_true_peak ? modes | EBUR128_MODE_TRUE_PEAK : modes);
  if (state_->meter == nullptr) {
    fail(ErrorKind::config, "cannot measure the loudness of {} channels at {} Hz", n_channels, sample_rate_hz);
  }
}

LoudnessMeter::~LoudnessMeter() = default;
LoudnessMeter::LoudnessMeter(LoudnessMeter&&) noexcept = default;
LoudnessMeter& LoudnessMeter::operator=(LoudnessMeter&&) noexcept = default;

void LoudnessMeter::add(const Waveform& block) {
  auto& out = state_->interleaved;
  const auto n_channels = static_cast<std::size_t>(block.n_channels);
  out.resize(block.samples.size());
  for (std::size_t channel = 0; channel < n_channels; ++channel) {
    const auto samples = block.channel(static_cast<std::int64_t>(channel));
    for (std::size_t frame = 0; frame < samples.size(); ++frame) out[frame * n_channels + channel] = samples[frame];
  }
  state_->require(ebur128_add_frames_float(state_->meter, out.data(), static_cast<std::size_t>(block.n_frames())));
  state_->n_frames += block.n_frames();
}

void LoudnessMeter::add_interleaved(std::span<const double> samples) {
  const auto n_frames = samples.size() / static_cast<std::size_t>(state_->n_channels);
  state_->require(ebur128_add_frames_double(state_->meter, samples.data(), n_frames));
  state_->n_frames += static_cast<std::int64_t>(n_frames);
}

double LoudnessMeter::integrated_lufs() const { return state_->value(ebur128_loudness_global); }
double LoudnessMeter::relative_threshold_lufs() const { return state_->value(ebur128_relative_threshold); }
double LoudnessMeter::range_lu() const { return state_->value(ebur128_loudness_range); }
double LoudnessMeter::momentary_lufs() const {
  return state_->has_filled(0.4) ? state_->value(ebur128_loudness_momentary) : kSilence;
}
double LoudnessMeter::short_term_lufs() const {
  return state_->has_filled(3) ? state_->value(ebur128_loudness_shortterm) : kSilence;
}
double LoudnessMeter::sample_peak_db() const { return state_->peak_db(ebur128_sample_peak); }
double LoudnessMeter::true_peak_db() const { return state_->peak_db(ebur128_true_peak); }

Loudness measure_loudness(const Waveform& wave, double update_ms) {
  LoudnessMeter meter(wave.sample_rate_hz, wave.n_channels);
  const auto step = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::lround(static_cast<double>(wave.sample_rate_hz) * update_ms / 1000)));
  Loudness result{};
  result.max_momentary_lufs = result.max_short_term_lufs = kSilence;
  Waveform block{.samples = {}, .n_channels = wave.n_channels, .sample_rate_hz = wave.sample_rate_hz};
  for (std::int64_t first = 0; first < wave.n_frames(); first += step) {
    const auto count = static_cast<std::size_t>(std::min(step, wave.n_frames() - first));
    block.samples.clear();
    for (std::int64_t channel = 0; channel < wave.n_channels; ++channel) {
      const auto samples = wave.channel(channel).subspan(static_cast<std::size_t>(first), count);
      block.samples.insert(block.samples.end(), samples.begin(), samples.end());
    }
    meter.add(block);
    result.max_momentary_lufs = std::max(result.max_momentary_lufs, meter.momentary_lufs());
    result.max_short_term_lufs = std::max(result.max_short_term_lufs, meter.short_term_lufs());
  }
  result.integrated_lufs = meter.integrated_lufs();
  result.range_lu = meter.range_lu();
  result.true_peak_db = meter.true_peak_db();
  result.sample_peak_db = meter.sample_peak_db();
  return result;
}

}  // namespace melisma
