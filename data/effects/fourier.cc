#include "data/effects/fourier.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <unsupported/Eigen/FFT>

namespace melisma {

struct RealFourier::State {
  std::int64_t length;
  Eigen::FFT<float> transform;
};

RealFourier::RealFourier(std::int64_t length) : state_(std::make_unique<State>(length)) {
  state_->transform.SetFlag(Eigen::FFT<float>::HalfSpectrum);
}
RealFourier::~RealFourier() = default;
RealFourier::RealFourier(RealFourier&&) noexcept = default;
RealFourier& RealFourier::operator=(RealFourier&&) noexcept = default;

std::int64_t RealFourier::length() const { return state_->length; }

void RealFourier::forward(std::span<const float> samples, std::span<std::complex<float>> spectrum) {
  state_->transform.fwd(spectrum.data(), samples.data(), state_->length);
}

void RealFourier::inverse(std::span<const std::complex<float>> spectrum, std::span<float> samples) {
  state_->transform.inv(samples.data(), spectrum.data(), state_->length);
}

std::vector<float> hann_window(std::int64_t length) {
  std::vector<float> window(static_cast<std::size_t>(length));
  for (std::size_t n = 0; n < window.size(); ++n) {
    window[n] = static_cast<float>(
        0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(n) / static_cast<double>(length)));
  }
  return window;
}

SpectralStream::SpectralStream(std::int64_t length, Change change)
    : fourier_(length),
      change_(std::move(change)),
      hop_(static_cast<std::size_t>(length / 4)),
      window_(hann_window(length)),
      in_(window_.size()),
      sum_(window_.size()),
      frame_(window_.size()),
      spectrum_(static_cast<std::size_t>(fourier_.n_bins())) {}

// in_ ends with the newest hop, sum_ begins with what every frame has been added to.
void SpectralStream::process(std::span<float> samples) {
  while (!samples.empty()) {
    const auto count = std::min(samples.size(), hop_ - fill_);
    for (std::size_t n = 0; n < count; ++n, ++fill_) {
      in_[in_.size() - hop_ + fill_] = samples[n];
      samples[n] = sum_[fill_];
    }
    samples = samples.subspan(count);
    if (fill_ == hop_) next_frame();
  }
}

void SpectralStream::next_frame() {
  constexpr float kSumOfSquares = 1.5F;
  std::transform(in_.begin(), in_.end(), window_.begin(), frame_.begin(), std::multiplies<>());
  fourier_.forward(frame_, spectrum_);
  change_(spectrum_);
  fourier_.inverse(spectrum_, frame_);
  const auto hop = static_cast<std::ptrdiff_t>(hop_);
  std::move(sum_.begin() + hop, sum_.end(), sum_.begin());
  std::fill(sum_.end() - hop, sum_.end(), 0.0F);
  for (std::size_t n = 0; n < frame_.size(); ++n) sum_[n] += frame_[n] * window_[n] / kSumOfSquares;
  std::move(in_.begin() + hop, in_.end(), in_.begin());
  fill_ = 0;
}

std::int64_t power_of_two_from(double count) {
  std::int64_t power = 1;
  while (static_cast<double>(power) < count) power *= 2;
  return power;
}

}  // namespace melisma
