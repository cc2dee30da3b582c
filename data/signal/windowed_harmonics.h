// The pitch of three periods around a moment by the instantaneous frequencies of its harmonics: the last stage of
// Harvest, and StoneMask.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

class WindowedHarmonics {
 public:
  // Cuts three periods of f0_hz around position_s out of a signal and weighs them with a Blackman window and with its
  // slope. Beyond the ends the first and the last sample go on; samples that are no numbers are silence.
  void cut(std::span<const double> signal, double rate_hz, double position_s, double f0_hz);
  void cut(std::span<const float> signal, double rate_hz, double position_s, double f0_hz);

  struct Estimate {
    double f0_hz = 0;      // mean over the harmonics, weighted by amplitude
    double deviation = 0;  // mean of how far each harmonic, divided by its number, is from the guess; relative
  };
  // At the harmonics 1 ... n of a guess, read at the nearest bins of a transform of twice to four times the window.
  [[nodiscard]] Estimate estimate(double guess_hz, int n_harmonics) const;

 private:
  template <class Sample>
  void cut_from(std::span<const Sample> signal, double rate_hz, double position_s, double f0_hz);

  double rate_hz_ = 0;
  std::int64_t n_fft_ = 0, padded_ = 0;
  std::vector<double> windowed_, sloped_;  // [padded]: samples times the window and times its slope; zeros at the end
};

}  // namespace melisma
