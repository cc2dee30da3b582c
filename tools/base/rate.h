// How fast a long action goes and when it will end, from what it did in the last half minute.
#pragma once
#include <deque>
#include <optional>

namespace melisma {

// The first observation is the starting point, so that work done before a resume does not count as speed.
class RateEstimator {
 public:
  explicit RateEstimator(double window_seconds = 30) : window_seconds_(window_seconds) {}
  // `done` at time `now_seconds`; both only grow. A smaller `done` starts over.
  void observe(double done, double now_seconds);
  // Amount a second over the window; nothing before two observations at different times.
  [[nodiscard]] std::optional<double> per_second() const;
  // Until `total` at this rate; nothing while unknown or at a standstill.
  [[nodiscard]] std::optional<double> seconds_left(double total) const;

 private:
  struct Sample {
    double done, seconds;
  };
  double window_seconds_;
  std::deque<Sample> samples_;
};

}  // namespace melisma
