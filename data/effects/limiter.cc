#include "data/effects/limiter.h"

#include <array>
#include <cmath>
#include <deque>
#include <numbers>
#include <numeric>
#include <vector>

#include "data/effects/decibels.h"
#include "data/effects/delay_line.h"

namespace melisma {
namespace {

// The largest absolute value around each sample: itself and three points to each side up to its neighbours, by a
// windowed sinc of 24 samples. Comes kReach samples late.
class TruePeak {
 public:
  static constexpr std::int64_t kReach = 12;

  TruePeak() {
    for (int phase = 1; phase < kPhases; ++phase) {
      auto& taps = taps_[static_cast<std::size_t>(phase - 1)];
      double sum = 0;
      for (int k = 0; k < 2 * kReach; ++k) {
        const double at = kReach - 1 + static_cast<double>(phase) / kPhases - k;  // distance from the point sought
        const double angle = std::numbers::pi * at;
        const double window = 0.5 + 0.5 * std::cos(angle / kReach);
        taps[static_cast<std::size_t>(k)] = static_cast<float>(window * std::sin(angle) / angle);
        sum += window * std::sin(angle) / angle;
      }
      for (auto& tap : taps) tap = static_cast<float>(tap / sum);
    }
  }

  // Of the sample kReach before this one.
  float next(float sample) {
    std::move(recent_.begin() + 1, recent_.end(), recent_.begin());
    recent_.back() = sample;
    const float before = between_;
    between_ = 0;
    for (const auto& taps : taps_) {
      float value = 0;
      for (std::size_t k = 0; k < taps.size(); ++k) value += taps[k] * recent_[k];
      between_ = std::max(between_, std::abs(value));
    }
    return std::max({before, between_, std::abs(recent_[kReach - 1])});
  }

 private:
  static constexpr int kPhases = 4;
  std::array<std::array<float, 2 * kReach>, kPhases - 1> taps_{};
  std::array<float, 2 * kReach> recent_{};
  float between_ = 0;  // from the sample before to this one
};

// The smallest of the last `length` numbers.
class SlidingMinimum {
 public:
  explicit SlidingMinimum(std::int64_t length) : length_(length) {}
  double next(double value) {
    while (!falling_.empty() && falling_.back().value >= value) falling_.pop_back();
    falling_.push_back({n_, value});
    if (falling_.front().at <= n_ - length_) falling_.pop_front();
    ++n_;
    return falling_.front().value;
  }

 private:
  struct Entry {
    std::int64_t at;
    double value;
  };
  std::int64_t length_, n_ = 0;
  std::deque<Entry> falling_;
};

class Limiter final : public LateEffect {
 public:
  Limiter(const LimiterSettings& settings, const SignalShape& shape)
      : LateEffect(shape, latency(settings, shape)),
        gain_(static_cast<float>(factor_of_db(settings.gain_db))),
        ceiling_(static_cast<float>(factor_of_db(settings.ceiling_db))),
        // A tenth of a dB for what lies between the points that are looked at.
        aim_(settings.true_peak ? ceiling_ * factor_of_db(-0.1) : ceiling_),
        window_(window(settings, shape)),
        release_(std::exp(-std::log(9.0) / (settings.release_ms / 1000 * static_cast<double>(shape.sample_rate_hz)))),
        minimum_(window_),
        held_(static_cast<std::size_t>(window_), 1.0),
        sum_(static_cast<double>(window_)),
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
      const auto gain = static_cast<float>(next_gain(level));
      for (std::size_t c = 0; c < lines_.size(); ++c) {
        block.samples[c * n_frames + n] = std::clamp(lines_[c].oldest() * gain, -ceiling_, ceiling_);
      }
    }
  }

  // Every one of the averaged gains has seen the peak that comes out now.
  double next_gain(double level) {
    const double needed = minimum_.next(level > aim_ ? aim_ / level : 1);
    recovering_ = std::min(needed, 1 - (1 - recovering_) * release_);
    sum_ += recovering_ - held_[at_];
    held_[at_] = recovering_;
    at_ = at_ + 1 == held_.size() ? 0 : at_ + 1;
    if (at_ == 0) sum_ = std::accumulate(held_.begin(), held_.end(), 0.0);  // no rounding piles up
    return sum_ / static_cast<double>(window_);
  }

  float gain_, ceiling_;
  double aim_;
  std::int64_t window_;
  double release_, recovering_ = 1;
  SlidingMinimum minimum_;
  std::vector<double> held_;  // the last window_ gains, a ring
  std::size_t at_ = 0;
  double sum_;
  std::vector<TruePeak> peaks_;
  std::vector<DelayLine> lines_;
};

}  // namespace

std::unique_ptr<Effect> make_effect(const LimiterSettings& settings, const SignalShape& shape) {
  return std::make_unique<Limiter>(settings, shape);
}

}  // namespace melisma
