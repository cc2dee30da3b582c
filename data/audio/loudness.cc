#include "data/audio/loudness.h"

#include <ebur128.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "data/audio/k_weighting.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr double kSilence = -std::numeric_limits<double>::infinity();
constexpr double kSurroundWeight = 1.41;
constexpr std::size_t kBlockFrames = 65536;

// Of the channels in the order libebur128 takes them in: from six on, number 3 is the bass effects channel.
std::vector<double> channel_weights(std::int64_t n_channels) {
  std::vector<double> weights(static_cast<std::size_t>(n_channels), n_channels > 5 ? 0 : 1);
  std::fill_n(weights.begin(), std::min<std::int64_t>(n_channels, 3), 1.0);
  const auto surround = n_channels == 4 ? 2 : n_channels == 5 ? 3 : 4;
  for (auto c = surround; c < std::min<std::int64_t>(n_channels, surround + 2); ++c) {
    weights[static_cast<std::size_t>(c)] = kSurroundWeight;
  }
  return weights;
}

}  // namespace

struct LoudnessMeter::State {
  ebur128_state* meter = nullptr;
  std::int64_t sample_rate_hz, n_channels, n_frames = 0;
  std::optional<LoudestWindows> windows;
  std::vector<double> interleaved;
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
  const LoudestWindows& loudest() const {
    if (!windows) fail(ErrorKind::internal, "loudness: this meter was made without maxima");
    return *windows;
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

LoudnessMeter::LoudnessMeter(std::int64_t sample_rate_hz, std::int64_t n_channels, const LoudnessParts& parts)
    : state_(std::make_unique<State>()) {
  const int modes = EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_S | EBUR128_MODE_M | EBUR128_MODE_SAMPLE_PEAK;
  state_->sample_rate_hz = sample_rate_hz;
  state_->n_channels = n_channels;
  state_->meter = ebur128_init(static_cast<unsigned int>(n_channels), static_cast<unsigned long>(sample_rate_hz),
                               parts.true_peak ? modes | EBUR128_MODE_TRUE_PEAK : modes);
  if (state_->meter == nullptr) {
    fail(ErrorKind::config, "cannot measure the loudness of {} channels at {} Hz", n_channels, sample_rate_hz);
  }
  if (parts.maxima) state_->windows.emplace(sample_rate_hz, channel_weights(n_channels));
}

LoudnessMeter::~LoudnessMeter() = default;
LoudnessMeter::LoudnessMeter(LoudnessMeter&&) noexcept = default;
LoudnessMeter& LoudnessMeter::operator=(LoudnessMeter&&) noexcept = default;

void LoudnessMeter::add(const Waveform& wave) {
  auto& out = state_->interleaved;
  const auto n_channels = static_cast<std::size_t>(wave.n_channels);
  const auto n_frames = static_cast<std::size_t>(wave.n_frames());
  for (std::size_t first = 0; first < n_frames; first += kBlockFrames) {
    const auto count = std::min(kBlockFrames, n_frames - first);
    out.resize(count * n_channels);
    for (std::size_t channel = 0; channel < n_channels; ++channel) {
      const auto samples = wave.channel(static_cast<std::int64_t>(channel)).subspan(first, count);
      for (std::size_t frame = 0; frame < count; ++frame) out[frame * n_channels + channel] = samples[frame];
    }
    add_interleaved(out);
  }
}

void LoudnessMeter::add_interleaved(std::span<const double> samples) {
  const auto n_frames = samples.size() / static_cast<std::size_t>(state_->n_channels);
  state_->require(ebur128_add_frames_double(state_->meter, samples.data(), n_frames));
  if (state_->windows) state_->windows->add(samples);
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
double LoudnessMeter::max_momentary_lufs() const { return state_->loudest().momentary_lufs(); }
double LoudnessMeter::max_short_term_lufs() const { return state_->loudest().short_term_lufs(); }
double LoudnessMeter::sample_peak_db() const { return state_->peak_db(ebur128_sample_peak); }
double LoudnessMeter::true_peak_db() const { return state_->peak_db(ebur128_true_peak); }

Loudness measure_loudness(const Waveform& wave) {
  LoudnessMeter meter(wave.sample_rate_hz, wave.n_channels);
  meter.add(wave);
  return {.integrated_lufs = meter.integrated_lufs(),
          .range_lu = meter.range_lu(),
          .max_momentary_lufs = meter.max_momentary_lufs(),
          .max_short_term_lufs = meter.max_short_term_lufs(),
          .true_peak_db = meter.true_peak_db(),
          .sample_peak_db = meter.sample_peak_db()};
}

}  // namespace melisma
