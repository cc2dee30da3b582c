#include "data/effects/noise_reduction.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "data/effects/fourier.h"

namespace melisma {
namespace {

using Spectrum = std::span<std::complex<float>>;

constexpr double kFrameSeconds = 0.064;
constexpr double kQuantile = 0.2;

// How often a bin's level was in each half decibel from -200 to 60 dB: an hour takes no more room than a second.
class LevelHistogram {
 public:
  void add(float power) {
    const double half_decibels = 20 * std::log10(static_cast<double>(power) + 1e-20) - kLowest;
    ++counts_[static_cast<std::size_t>(std::clamp<double>(half_decibels, 0, kSteps - 1))];
    ++n_;
  }
  // The power that the share `quantile` of the frames stays below, between the steps by proportion.
  [[nodiscard]] double power_at(double quantile) const {
    double left = quantile * static_cast<double>(n_);
    std::size_t step = 0;
    while (step + 1 < kSteps && left > counts_[step]) left -= counts_[step++];
    const double part = counts_[step] > 0 ? left / counts_[step] : 0;
    return std::pow(10, (kLowest + static_cast<double>(step) + part) / 20);
  }

 private:
  static constexpr int kSteps = 520;
  static constexpr double kLowest = -400;  // half decibels of power
  std::array<std::uint32_t, kSteps> counts_{};
  std::int64_t n_ = 0;
};

// The noise's mean power in each bin, [n_bins].
std::vector<float> noise_spectrum(std::span<const float> samples, std::int64_t length) {
  std::vector<LevelHistogram> histograms(static_cast<std::size_t>(length / 2 + 1));
  std::int64_t n_frames = 0;
  SpectralStream stream(length, [&](Spectrum spectrum) {
    if (++n_frames < 4) return;  // these frames begin before the signal
    for (std::size_t k = 0; k < spectrum.size(); ++k) histograms[k].add(std::norm(spectrum[k]));
  });
  std::vector<float> block;
  for (; !samples.empty(); samples = samples.subspan(std::min<std::size_t>(samples.size(), 1 << 14))) {
    const auto part = samples.first(std::min<std::size_t>(samples.size(), 1 << 14));
    block.assign(part.begin(), part.end());
    stream.process(block);
  }
  if (n_frames < 4) return std::vector<float>(histograms.size(), 0.0F);
  // The power of noise in a bin is distributed exponentially.
  const double mean_of_quantile = -1 / std::log(1 - kQuantile);
  std::vector<double> levels;
  for (const auto& histogram : histograms) levels.push_back(mean_of_quantile * histogram.power_at(kQuantile));
  constexpr std::ptrdiff_t kNeighbours = 8;
  std::vector<float> noise;
  for (std::ptrdiff_t k = 0; k < std::ssize(levels); ++k) {
    std::vector<double> around(levels.begin() + std::max<std::ptrdiff_t>(k - kNeighbours, 0),
                               levels.begin() + std::min(k + kNeighbours + 1, std::ssize(levels)));
    const auto middle = around.begin() + std::ssize(around) / 2;
    std::nth_element(around.begin(), middle, around.end());
    noise.push_back(static_cast<float>(*middle));
  }
  return noise;
}

// Turns down what is noise; the mask is smoothed over the last frames and the neighbouring bins, or single bins that
// are loud by chance would tinkle.
class Gate {
 public:
  Gate(std::vector<float> noise, double strength)
      : noise_(std::move(noise)),
        strength_(static_cast<float>(strength)),
        power_(noise_.size()),
        gain_(noise_.size()) {}

  void operator()(Spectrum spectrum) {
    constexpr float kKept = 0.6F;  // of the mean power so far: about three frames
    for (std::size_t k = 0; k < spectrum.size(); ++k) {
      const float now = std::norm(spectrum[k]);
      power_[k] = std::max(kKept * power_[k] + (1 - kKept) * now, now * 0.3F);
    }
    for (std::size_t k = 0; k < spectrum.size(); ++k) gain_[k] = 1 - strength_ * (1 - openness(k));
    for (std::size_t k = 0; k < spectrum.size(); ++k) spectrum[k] *= gain_[k];
  }

 private:
  // 0 = noise, 1 = signal: from 5 dB to 9 dB above the noise's mean power, of the bin's surroundings or its own.
  [[nodiscard]] float openness(std::size_t k) const {
    constexpr float kClosed = 3.2F, kOpen = 8;
    const auto first = k == 0 ? k : k - 1, last = std::min(k + 1, power_.size() - 1);
    float power = 0, noise = 1e-20F;
    for (auto j = first; j <= last; ++j) {
      power += power_[j];
      noise += noise_[j];
    }
    return std::clamp((power / noise - kClosed) / (kOpen - kClosed), 0.0F, 1.0F);
  }

  std::vector<float> noise_;
  float strength_;
  std::vector<float> power_, gain_;
};

}  // namespace

void reduce_noise(std::span<float> samples, std::int64_t sample_rate_hz, double strength) {
  const auto length =
      std::max<std::int64_t>(power_of_two_from(0.75 * kFrameSeconds * static_cast<double>(sample_rate_hz)), 64);
  SpectralStream stream(length, Gate(noise_spectrum(samples, length), strength));
  // Late by `length`: what comes back belongs to the place that far in front.
  std::vector<float> block;
  const auto n = std::ssize(samples), step = std::int64_t{1} << 14;
  for (std::int64_t first = 0; first < n + length; first += step) {
    block.assign(static_cast<std::size_t>(std::min(step, n + length - first)), 0.0F);
    if (first < n) std::copy(samples.begin() + first, samples.begin() + std::min(first + step, n), block.begin());
    stream.process(block);
    for (std::int64_t k = std::max<std::int64_t>(length - first, 0); k < std::ssize(block); ++k) {
      samples[static_cast<std::size_t>(first + k - length)] = block[static_cast<std::size_t>(k)];
    }
  }
}

}  // namespace melisma
