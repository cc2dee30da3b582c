#include "data/effects/dynamics.h"

#include <cmath>

#include "data/effects/decibels.h"

namespace melisma {
namespace {

// Of the old value in one-pole smoothing that takes `ms` from 10 to 90 %.
double pole_of_ms(double ms, std::int64_t sample_rate_hz) {
  return std::exp(-std::log(9.0) / (ms / 1000 * static_cast<double>(sample_rate_hz)));
}

// The largest absolute value of all channels at one frame.
double level_at(const Waveform& block, std::int64_t frame) {
  const auto n_frames = block.n_frames();
  float level = 0;
  for (std::int64_t c = 0; c < block.n_channels; ++c) {
    level = std::max(level, std::abs(block.samples[static_cast<std::size_t>(c * n_frames + frame)]));
  }
  return level;
}

void scale_frame(Waveform& block, std::int64_t frame, double gain) {
  const auto n_frames = block.n_frames();
  for (std::int64_t c = 0; c < block.n_channels; ++c) {
    block.samples[static_cast<std::size_t>(c * n_frames + frame)] *= static_cast<float>(gain);
  }
}

class Compressor final : public InPlaceEffect {
 public:
  Compressor(const CompressorSettings& settings, const SignalShape& shape)
      : gain_(settings, shape.sample_rate_hz), makeup_db_(settings.makeup_db), idle_gain_(factor_of_db(makeup_db_)) {}

 private:
  void change(Waveform& block) override {
    for (std::int64_t n = 0; n < block.n_frames(); ++n) {
      const double gain_db = gain_.next_db(level_at(block, n));
      scale_frame(block, n, gain_db == 0 ? idle_gain_ : factor_of_db(gain_db + makeup_db_));
    }
  }

  CompressorGain gain_;
  double makeup_db_, idle_gain_;
};

class NoiseGate final : public InPlaceEffect {
 public:
  NoiseGate(const NoiseGateSettings& settings, const SignalShape& shape)
      : threshold_(factor_of_db(settings.threshold_db)),
        closed_gain_(factor_of_db(-settings.range_db)),
        attack_(pole_of_ms(settings.attack_ms, shape.sample_rate_hz)),
        release_(pole_of_ms(settings.release_ms, shape.sample_rate_hz)),
        hold_(frames_of_ms(settings.hold_ms, shape.sample_rate_hz)),
        gain_(closed_gain_) {}

 private:
  void change(Waveform& block) override {
    for (std::int64_t n = 0; n < block.n_frames(); ++n) {
      n_open_ = level_at(block, n) > threshold_ ? hold_ + 1 : std::max<std::int64_t>(n_open_ - 1, 0);
      const double target = n_open_ > 0 ? 1 : closed_gain_;
      gain_ = target + (gain_ - target) * (target > gain_ ? attack_ : release_);
      scale_frame(block, n, gain_);
    }
  }

  double threshold_, closed_gain_, attack_, release_;
  std::int64_t hold_, n_open_ = 0;
  double gain_;
};

}  // namespace

CompressorGain::CompressorGain(const CompressorSettings& settings, std::int64_t sample_rate_hz)
    : threshold_db_(settings.threshold_db),
      slope_(1 / settings.ratio - 1),
      knee_db_(settings.knee_db),
      idle_level_(factor_of_db(threshold_db_ - knee_db_ / 2)),
      attack_(pole_of_ms(settings.attack_ms, sample_rate_hz)),
      release_(pole_of_ms(settings.release_ms, sample_rate_hz)) {}

double CompressorGain::settled_db(double level_db) const {
  const double over_db = level_db - threshold_db_;
  if (2 * over_db <= -knee_db_) return 0;
  if (2 * over_db >= knee_db_) return slope_ * over_db;
  return slope_ * (over_db + knee_db_ / 2) * (over_db + knee_db_ / 2) / (2 * knee_db_);
}

double CompressorGain::next_db(double level) {
  constexpr double kUnheard = 1e-9;  // dB
  if (level <= idle_level_) {        // most samples of most music: no logarithm
    gain_db_ = gain_db_ > -kUnheard ? 0 : gain_db_ * release_;
    return gain_db_;
  }
  const double target = settled_db(db_of_factor(level));
  gain_db_ = target + (gain_db_ - target) * (target < gain_db_ ? attack_ : release_);
  return gain_db_;
}

std::unique_ptr<Effect> make_effect(const CompressorSettings& settings, const SignalShape& shape) {
  return std::make_unique<Compressor>(settings, shape);
}

std::unique_ptr<Effect> make_effect(const NoiseGateSettings& settings, const SignalShape& shape) {
  return std::make_unique<NoiseGate>(settings, shape);
}

}  // namespace melisma
