#include "data/effects/limiter.h"

#include <cmath>
#include <vector>

#include "data/effects/decibels.h"
#include "data/effects/delay_line.h"
#include "data/effects/peak_gain.h"

namespace melisma {
namespace {

class Limiter final : public LateEffect {
 public:
  Limiter(const LimiterSettings& settings, const SignalShape& shape)
      : LateEffect(shape, latency(settings, shape)),
        gain_(static_cast<float>(factor_of_db(settings.gain_db))),
        ceiling_(static_cast<float>(factor_of_db(settings.ceiling_db))),
        // A tenth of a dB for what lies between the points that are looked at.
        aim_(settings.true_peak ? ceiling_ * factor_of_db(-0.1) : ceiling_),
        peak_gain_(window(settings, shape), settings.release_ms, shape.sample_rate_hz),
        peaks_(settings.true_peak ? static_cast<std::size_t>(shape.n_channels) : 0),
        lines_(static_cast<std::size_t>(shape.n_channels), DelayLine(latency(settings, shape))) {}

 private:
  static std::int64_t window(const LimiterSettings& settings, const SignalShape& shape) {
    return frames_of_ms(settings.look_ahead_ms, shape.sample_rate_hz) + 1;
  }
  static std::int64_t latency(const LimiterSettings& settings, const SignalShape& shape) {
    return window(settings, shape) - 1 + (settings.true_peak ? TruePeak::kReach : 0);
  }

  void change(Waveform& block) override {
    const auto n_frames = static_cast<std::size_t>(block.n_frames());
    for (std::size_t n = 0; n < n_frames; ++n) {
      float level = 0;
      for (std::size_t c = 0; c < lines_.size(); ++c) {
        const float sample = gain_ * block.samples[c * n_frames + n];
        level = std::max(level, peaks_.empty() ? std::abs(sample) : peaks_[c].next(sample));
        lines_[c].push(sample);
      }
      const auto gain = static_cast<float>(peak_gain_.next(level > aim_ ? aim_ / level : 1));
      for (std::size_t c = 0; c < lines_.size(); ++c) {
        block.samples[c * n_frames + n] = std::clamp(lines_[c].oldest() * gain, -ceiling_, ceiling_);
      }
    }
  }

  float gain_, ceiling_;
  double aim_;
  PeakGain peak_gain_;
  std::vector<TruePeak> peaks_;
  std::vector<DelayLine> lines_;
};

}  // namespace

std::unique_ptr<Effect> make_effect(const LimiterSettings& settings, const SignalShape& shape) {
  return std::make_unique<Limiter>(settings, shape);
}

}  // namespace melisma
