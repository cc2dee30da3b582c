// What limiters are made of: peaks between the samples, and a gain that is down in time.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <deque>
#include <numbers>
#include <numeric>
#include <vector>

namespace melisma {

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
    recent_[at_] = recent_[at_ + kTaps] = sample;
    at_ = at_ + 1 == kTaps ? 0 : at_ + 1;
    const float* last = recent_.data() + at_;  // the oldest first
    const float before = between_;
    between_ = 0;
    for (const auto& taps : taps_) between_ = std::max(between_, std::abs(product(taps.data(), last)));
    return std::max({before, between_, std::abs(last[kReach - 1])});
  }

 private:
  static constexpr int kPhases = 4;
  static constexpr std::size_t kTaps = 2 * kReach;
  // Wherever floats begin.
  using Four [[gnu::vector_size(16), gnu::aligned(4), gnu::may_alias]] = float;
  static const Four* four_at(const float* first) { return reinterpret_cast<const Four*>(first); }
  // The sum of the products of kTaps numbers, four at a time: one sum after the other would wait for the last.
  static float product(const float* taps, const float* samples) {
    Four even{}, odd{};
    for (std::size_t k = 0; k < kTaps; k += 8) {
      even += *four_at(taps + k) * *four_at(samples + k);
      odd += *four_at(taps + k + 4) * *four_at(samples + k + 4);
    }
    const Four sum = even + odd;
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
  }
  std::array<std::array<float, kTaps>, kPhases - 1> taps_{};
  std::array<float, 2 * kTaps> recent_{};  // twice, so that the last kTaps are always in a row
  std::size_t at_ = 0;
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

// The gain each sample needs, at most 1, becomes one that is smooth and never above it: held for `window` samples,
// recovering by `release` a sample (the share of what is missing that stays), averaged over the window. Comes
// window - 1 samples late.
class PeakGain {
 public:
  PeakGain(std::int64_t window, double release_ms, std::int64_t sample_rate_hz)
      : window_(window),
        release_(std::exp(-std::log(9.0) / (release_ms / 1000 * static_cast<double>(sample_rate_hz)))),
        minimum_(window),
        held_(static_cast<std::size_t>(window), 1.0),
        sum_(static_cast<double>(window)) {}

  // Every one of the averaged gains has seen the sample that comes out now.
  double next(double needed) {
    recovering_ = std::min(minimum_.next(needed), 1 - (1 - recovering_) * release_);
    sum_ += recovering_ - held_[at_];
    held_[at_] = recovering_;
    at_ = at_ + 1 == held_.size() ? 0 : at_ + 1;
    if (at_ == 0) sum_ = std::accumulate(held_.begin(), held_.end(), 0.0);  // no rounding piles up
    return sum_ / static_cast<double>(window_);
  }

 private:
  std::int64_t window_;
  double release_, recovering_ = 1;
  SlidingMinimum minimum_;
  std::vector<double> held_;  // the last window_ gains, a ring
  std::size_t at_ = 0;
  double sum_;
};

}  // namespace melisma
