#include "tools/base/rate.h"

#include <algorithm>

namespace melisma {

void RateEstimator::observe(double done, double now_seconds) {
  if (!samples_.empty() && done < samples_.back().done) samples_.clear();
  // At most a hundred samples a window: an observation close to the last one replaces it.
  const bool is_close =
      samples_.size() > 1 && now_seconds - samples_[samples_.size() - 2].seconds < window_seconds_ / 100;
  if (is_close) samples_.pop_back();
  samples_.push_back({done, now_seconds});
  while (samples_.size() > 2 && now_seconds - samples_[1].seconds >= window_seconds_) samples_.pop_front();
}

std::optional<double> RateEstimator::per_second() const {
  if (samples_.size() < 2) return std::nullopt;
  const double elapsed = samples_.back().seconds - samples_.front().seconds;
  if (elapsed <= 0) return std::nullopt;
  return (samples_.back().done - samples_.front().done) / elapsed;
}

std::optional<double> RateEstimator::seconds_left(double total) const {
  const auto rate = per_second();
  if (!rate || *rate <= 0) return std::nullopt;
  return std::max(0.0, total - samples_.back().done) / *rate;
}

}  // namespace melisma
