#include "data/effects/echoes.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "data/effects/delay_line.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

// Where a cycle is at a frame, in turns 0 ... 1: of the place alone, so that nothing drifts.
double turn_at(std::int64_t frame, double rate_hz, std::int64_t sample_rate_hz) {
  const double turns = static_cast<double>(frame) * rate_hz / static_cast<double>(sample_rate_hz);
  return turns - std::floor(turns);
}

float mixed(float dry, float wet, float mix) { return dry + mix * (wet - dry); }

class Delay final : public InPlaceEffect {
 public:
  Delay(const DelaySettings& settings, const SignalShape& shape)
      : distance_(std::max<std::int64_t>(frames_of_ms(settings.time_ms, shape.sample_rate_hz), 1)),
        feedback_(static_cast<float>(settings.feedback)),
        mix_(static_cast<float>(settings.mix)),
        lines_(static_cast<std::size_t>(shape.n_channels), DelayLine(distance_ - 1)) {}

 private:
  void change(Waveform& block) override {
    for (std::int64_t c = 0; c < block.n_channels; ++c) {
      auto& line = lines_[static_cast<std::size_t>(c)];
      for (float& sample : block.channel(c)) {
        const float echo = line.at(distance_ - 1);
        line.push(sample + feedback_ * echo);
        sample = mixed(sample, echo, mix_);
      }
    }
  }

  std::int64_t distance_;
  float feedback_, mix_;
  std::vector<DelayLine> lines_;
};

class Chorus final : public InPlaceEffect {
 public:
  Chorus(const ChorusSettings& settings, const SignalShape& shape)
      : settings_(settings),
        sample_rate_hz_(shape.sample_rate_hz),
        centre_(settings.centre_ms / 1000 * static_cast<double>(sample_rate_hz_)),
        depth_(settings.depth_ms / 1000 * static_cast<double>(sample_rate_hz_)),
        lines_(static_cast<std::size_t>(shape.n_channels),
               DelayLine(static_cast<std::int64_t>(std::ceil(centre_ + depth_)) + 3)) {}

 private:
  void change(Waveform& block) override {
    for (std::int64_t c = 0; c < block.n_channels; ++c) {
      auto& line = lines_[static_cast<std::size_t>(c)];
      auto frame = n_frames_;
      for (float& sample : block.channel(c)) sample = next(sample, frame++, 0.25 * static_cast<double>(c), line);
    }
    n_frames_ += block.n_frames();
  }

  // The line's newest sample is the one before this: distances are one less.
  [[nodiscard]] float next(float sample, std::int64_t frame, double phase, DelayLine& line) const {
    const double turn = turn_at(frame, settings_.rate_hz, sample_rate_hz_) + phase;
    float copies = 0;
    for (int voice = 0; voice < settings_.voices; ++voice) {
      const double at = turn + static_cast<double>(voice) / settings_.voices;
      copies += line.between(centre_ - 1 + depth_ * std::sin(2 * std::numbers::pi * at));
    }
    copies /= static_cast<float>(settings_.voices);
    line.push(sample + static_cast<float>(settings_.feedback) * copies);
    return mixed(sample, copies, static_cast<float>(settings_.mix));
  }

  ChorusSettings settings_;
  std::int64_t sample_rate_hz_, n_frames_ = 0;
  double centre_, depth_;
  std::vector<DelayLine> lines_;
};

class Phaser final : public InPlaceEffect {
 public:
  Phaser(const PhaserSettings& settings, const SignalShape& shape)
      : settings_(settings),
        sample_rate_hz_(shape.sample_rate_hz),
        low_(std::log(settings.low_hz)),
        range_(std::log(settings.high_hz) - low_),
        channels_(static_cast<std::size_t>(shape.n_channels)) {
    for (auto& channel : channels_) channel.stages.resize(static_cast<std::size_t>(settings.stages));
  }

 private:
  struct Channel {
    std::vector<double> stages;
    double out = 0;
  };

  void change(Waveform& block) override {
    const auto n_frames = static_cast<std::size_t>(block.n_frames());
    for (std::size_t n = 0; n < n_frames; ++n) {
      const double pole = pole_at(n_frames_++);
      for (std::size_t c = 0; c < channels_.size(); ++c) {
        auto& sample = block.samples[c * n_frames + n];
        sample = mixed(sample, static_cast<float>(next(sample, pole, channels_[c])), static_cast<float>(settings_.mix));
      }
    }
  }

  // Of the first-order all-pass stages at a frame: their corner goes up and down evenly in octaves.
  [[nodiscard]] double pole_at(std::int64_t frame) const {
    const double swing =
        0.5 - 0.5 * std::cos(2 * std::numbers::pi * turn_at(frame, settings_.rate_hz, sample_rate_hz_));
    const double warped =
        std::tan(std::numbers::pi * std::exp(low_ + range_ * swing) / static_cast<double>(sample_rate_hz_));
    return (warped - 1) / (warped + 1);
  }

  [[nodiscard]] double next(double sample, double pole, Channel& channel) const {
    double value = sample + settings_.feedback * channel.out;
    for (auto& held : channel.stages) {
      const double in = value;
      value = pole * in + held;
      held = in - pole * value;
      if (std::abs(held) < 1e-30) held = 0;
    }
    return channel.out = value;
  }

  PhaserSettings settings_;
  std::int64_t sample_rate_hz_, n_frames_ = 0;
  double low_, range_;
  std::vector<Channel> channels_;
};

}  // namespace

std::unique_ptr<Effect> make_effect(const DelaySettings& settings, const SignalShape& shape) {
  return std::make_unique<Delay>(settings, shape);
}

std::unique_ptr<Effect> make_effect(const ChorusSettings& settings, const SignalShape& shape) {
  // Four samples around a place between two, all of the past.
  const double nearest_ms = std::max(0.5, 3000.0 / static_cast<double>(shape.sample_rate_hz));
  if (settings.depth_ms > settings.centre_ms - nearest_ms) {
    fail(ErrorKind::config, "a chorus {} ms deep around {} ms: the depth must be at most {} ms", settings.depth_ms,
         settings.centre_ms, settings.centre_ms - nearest_ms);
  }
  return std::make_unique<Chorus>(settings, shape);
}

std::unique_ptr<Effect> make_effect(const PhaserSettings& settings, const SignalShape& shape) {
  if (settings.low_hz > settings.high_hz) {
    fail(ErrorKind::config, "a phaser from {} Hz to {} Hz: high_hz must not be below low_hz", settings.low_hz,
         settings.high_hz);
  }
  require_below_nyquist("high_hz", settings.high_hz, shape);
  return std::make_unique<Phaser>(settings, shape);
}

}  // namespace melisma
