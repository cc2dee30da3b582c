#include "data/audio/k_weighting.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace melisma {
namespace {

constexpr double kShelfHz = 1681.974450955533, kShelfQ = 0.7071752369554196, kShelfDb = 3.999843853973347;
constexpr double kShelfMiddle = 0.4996667741545416;  // exponent of the gain at the corner
constexpr double kHighPassHz = 38.13547087602444, kHighPassQ = 0.5003270373238773;

}  // namespace

Sections k_weighting(std::int64_t sample_rate_hz) {
  const auto warped = [&](double hz) { return std::tan(std::numbers::pi * hz / static_cast<double>(sample_rate_hz)); };
  const double k = warped(kShelfHz), high = std::pow(10, kShelfDb / 20), middle = std::pow(high, kShelfMiddle);
  const double norm = 1 + k / kShelfQ + k * k;
  const Section shelf{.b0 = (high + middle * k / kShelfQ + k * k) / norm,
                      .b1 = 2 * (k * k - high) / norm,
                      .b2 = (high - middle * k / kShelfQ + k * k) / norm,
                      .a1 = 2 * (k * k - 1) / norm,
                      .a2 = (1 - k / kShelfQ + k * k) / norm};
  const double q = warped(kHighPassHz), low_norm = 1 + q / kHighPassQ + q * q;
  const Section high_pass{
      .b0 = 1, .b1 = -2, .b2 = 1, .a1 = 2 * (q * q - 1) / low_norm, .a2 = (1 - q / kHighPassQ + q * q) / low_norm};
  return {shelf, high_pass};
}

LoudestWindows::LoudestWindows(std::int64_t sample_rate_hz, std::vector<double> channel_weights)
    : sample_rate_hz_(sample_rate_hz),
      weights_(std::move(channel_weights)),
      filter_(k_weighting(sample_rate_hz)),
      states_(weights_.size(), SectionState(filter_.size())),
      steps_(kShortTermSteps, 0.0) {}

void LoudestWindows::add(std::span<const double> interleaved) {
  const auto n_channels = weights_.size();
  while (!interleaved.empty()) {
    const auto room = static_cast<std::size_t>(begin_of(n_steps_ + 1) - n_frames_);
    const auto count = std::min(room, interleaved.size() / n_channels);
    for (std::size_t c = 0; c < n_channels; ++c) {
      channel_.resize(count);
      for (std::size_t n = 0; n < count; ++n) channel_[n] = interleaved[n * n_channels + c];
      filter_sections(filter_, std::span<double>(channel_), states_[c]);
      for (const double x : channel_) step_energy_ += weights_[c] * x * x;
    }
    n_frames_ += static_cast<std::int64_t>(count);
    interleaved = interleaved.subspan(count * n_channels);
    if (count == room) end_step();
  }
}

void LoudestWindows::end_step() {
  steps_[static_cast<std::size_t>(n_steps_ % kShortTermSteps)] = step_energy_;
  step_energy_ = 0;
  ++n_steps_;
  if (n_steps_ >= kMomentarySteps) loudest_momentary_ = std::max(loudest_momentary_, mean_energy(kMomentarySteps));
  if (n_steps_ >= kShortTermSteps) loudest_short_term_ = std::max(loudest_short_term_, mean_energy(kShortTermSteps));
}

double LoudestWindows::mean_energy(std::int64_t steps) const {
  double sum = 0;
  for (auto step = n_steps_ - steps; step < n_steps_; ++step) {
    sum += steps_[static_cast<std::size_t>(step % kShortTermSteps)];
  }
  return sum / static_cast<double>(begin_of(n_steps_) - begin_of(n_steps_ - steps));
}

double LoudestWindows::loudness_of(double energy) {
  return energy > 0 ? -0.691 + 10 * std::log10(energy) : -std::numeric_limits<double>::infinity();
}

}  // namespace melisma
