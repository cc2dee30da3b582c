// Fourier transforms of real signals, and spectra of overlapping frames changed on the way.
#pragma once
#include <complex>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace melisma {

// Transforms of one even length.
class RealFourier {
 public:
  explicit RealFourier(std::int64_t length);
  ~RealFourier();
  RealFourier(RealFourier&&) noexcept;
  RealFourier& operator=(RealFourier&&) noexcept;

  [[nodiscard]] std::int64_t length() const;
  [[nodiscard]] std::int64_t n_bins() const { return length() / 2 + 1; }
  // length real numbers -> length / 2 + 1 bins, unscaled.
  void forward(std::span<const float> samples, std::span<std::complex<float>> spectrum);
  // The inverse: forward and back gives the samples again.
  void inverse(std::span<const std::complex<float>> spectrum, std::span<float> samples);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Hann window of an even length, periodic: shifted by a quarter its squares sum to 1.5.
[[nodiscard]] std::vector<float> hann_window(std::int64_t length);

// One channel whose spectra are changed frame by frame: Hann windows before and after, frames a quarter apart. Samples
// come back in the same call, length() frames late; unchanged spectra give them unchanged.
class SpectralStream {
 public:
  using Change = std::function<void(std::span<std::complex<float>> spectrum)>;
  SpectralStream(std::int64_t length, Change change);
  [[nodiscard]] std::int64_t latency_frames() const { return fourier_.length(); }
  // In place; blocks of any size.
  void process(std::span<float> samples);

 private:
  void next_frame();
  RealFourier fourier_;
  Change change_;
  std::size_t hop_, fill_ = 0;
  std::vector<float> window_, in_, sum_, frame_;
  std::vector<std::complex<float>> spectrum_;
};

// The smallest power of two that is at least `count`.
[[nodiscard]] std::int64_t power_of_two_from(double count);

}  // namespace melisma
