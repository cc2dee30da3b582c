#include <algorithm>
#include <cmath>
#include <vector>

#include "data/effects/fourier.h"
#include "data/effects/pitch_shift.h"

namespace melisma {
namespace {

using Spectrum = std::span<std::complex<float>>;

// The envelope that rests on a frame's harmonics, as the natural logarithm of the magnitude.
class EnvelopeFinder {
 public:
  EnvelopeFinder(std::int64_t length, std::int64_t sample_rate_hz)
      : fourier_(length),
        rate_hz_(static_cast<double>(sample_rate_hz)),
        symmetric_(static_cast<std::size_t>(fourier_.n_bins())),
        cepstrum_(static_cast<std::size_t>(length)),
        level_(symmetric_.size()),
        raised_(symmetric_.size()),
        smooth_(symmetric_.size()) {}

  // Valid until the next call. [n_bins]
  std::span<const float> of(Spectrum spectrum) {
    constexpr int kMostRounds = 8;
    constexpr float kStandsOut = 0.1F;  // nepers: just under 1 dB
    constexpr float kHaste = 1.8F;      // what stands out is raised by more than it lacks: fewer rounds
    constexpr float kDeepest = 1e-5F;   // of the loudest bin
    float loudest = 1e-20F;
    for (const auto& bin : spectrum) loudest = std::max(loudest, std::norm(bin));
    const float floor = kDeepest * kDeepest * loudest;
    for (std::size_t k = 0; k < level_.size(); ++k) level_[k] = 0.5F * std::log(std::norm(spectrum[k]) + floor);
    const auto n_kept = finest_quefrency();
    fill_below_pitch(n_kept);
    raised_ = level_;
    for (int round = 0; round < kMostRounds; ++round) {
      smooth(n_kept);
      float most = 0;
      for (std::size_t k = 0; k < level_.size(); ++k) {
        most = std::max(most, level_[k] - smooth_[k]);
        const float over = level_[k] - smooth_[k];
        raised_[k] = smooth_[k] + (over > 0 ? kHaste * over : 0);
      }
      if (most < kStandsOut) break;
    }
    return smooth_;
  }

 private:
  // Samples of the cepstrum that belong to the envelope: up to half of the pitch period, where harmonics are as far
  // apart as the envelope's finest ripple.
  std::size_t finest_quefrency() {
    constexpr double kHighestHz = 1000, kLowestHz = 60, kUnvoicedSeconds = 0.0015;
    constexpr float kVoiced = 0.2F, kAsGood = 0.8F;
    // The autocorrelation of a flattened spectrum, in which no formant passes for a pitch.
    for (std::size_t k = 0; k < level_.size(); ++k) symmetric_[k] = std::exp(0.5F * (level_[k] - level_[0]));
    fourier_.inverse(symmetric_, cepstrum_);
    const auto first = static_cast<std::size_t>(rate_hz_ / kHighestHz);
    const auto last = std::min(static_cast<std::size_t>(rate_hz_ / kLowestHz), cepstrum_.size() / 2 - 1);
    float highest = 0;
    for (auto lag = first; lag <= last; ++lag) highest = std::max(highest, cepstrum_[lag]);
    if (highest < kVoiced * cepstrum_[0]) return static_cast<std::size_t>(kUnvoicedSeconds * rate_hz_);
    auto lag = std::max<std::size_t>(first, 1);
    while (lag < last && (cepstrum_[lag] < kAsGood * highest || cepstrum_[lag] < cepstrum_[lag + 1])) ++lag;
    return lag / 2;
  }

  // Below the first harmonic there is nothing to rest on, and a cliff would ring through the envelope: it goes on
  // level.
  void fill_below_pitch(std::size_t n_kept) {
    const auto pitch_bin = (level_.size() - 1) / std::max<std::size_t>(n_kept, 1);
    const auto end = level_.begin() + static_cast<std::ptrdiff_t>(std::min(pitch_bin * 3 / 2, level_.size() - 1)) + 1;
    const auto first_harmonic = std::max_element(level_.begin(), end);
    std::fill(level_.begin(), first_harmonic, *first_harmonic);
  }

  // smooth_ = raised_ without what its cepstrum has from n_kept on.
  void smooth(std::size_t n_kept) {
    for (std::size_t k = 0; k < raised_.size(); ++k) symmetric_[k] = raised_[k];
    fourier_.inverse(symmetric_, cepstrum_);
    const auto end = cepstrum_.end() - static_cast<std::ptrdiff_t>(n_kept) + 1;
    std::fill(cepstrum_.begin() + static_cast<std::ptrdiff_t>(n_kept), end, 0.0F);
    fourier_.forward(cepstrum_, symmetric_);
    for (std::size_t k = 0; k < smooth_.size(); ++k) smooth_[k] = symmetric_[k].real();
  }

  RealFourier fourier_;
  double rate_hz_;
  std::vector<std::complex<float>> symmetric_;
  std::vector<float> cepstrum_, level_, raised_, smooth_;
};

// Frames long enough to tell a deep voice's harmonics apart.
std::int64_t frame_length(const SignalShape& shape) {
  constexpr double kFrameSeconds = 0.032;
  return std::max<std::int64_t>(power_of_two_from(kFrameSeconds * static_cast<double>(shape.sample_rate_hz)), 64);
}

class FormantShift final : public LateEffect {
 public:
  FormantShift(const FormantShiftSettings& settings, const SignalShape& shape)
      : LateEffect(shape, frame_length(shape)),
        ratio_(settings.ratio),
        finder_(frame_length(shape), shape.sample_rate_hz) {
    for (std::int64_t c = 0; c < shape.n_channels; ++c) {
      channels_.emplace_back(frame_length(shape), [this](Spectrum spectrum) { move_envelope(spectrum); });
    }
  }

 private:
  void change(Waveform& block) override {
    for (std::int64_t c = 0; c < block.n_channels; ++c) {
      channels_[static_cast<std::size_t>(c)].process(block.channel(c));
    }
  }

  // Bin k gets the envelope of bin k / ratio.
  void move_envelope(Spectrum spectrum) {
    constexpr float kMostNepers = 4.6F;  // 40 dB
    const auto envelope = finder_.of(spectrum);
    for (std::size_t k = 0; k < spectrum.size(); ++k) {
      const double from = std::min(static_cast<double>(k) / ratio_, static_cast<double>(envelope.size() - 1));
      const auto below = std::min(static_cast<std::size_t>(from), envelope.size() - 2);
      const auto part = static_cast<float>(from - static_cast<double>(below));
      const float wanted = envelope[below] + part * (envelope[below + 1] - envelope[below]);
      spectrum[k] *= std::exp(std::clamp(wanted - envelope[k], -kMostNepers, kMostNepers));
    }
  }

  double ratio_;
  EnvelopeFinder finder_;
  std::vector<SpectralStream> channels_;
};

}  // namespace

std::unique_ptr<Effect> make_effect(const FormantShiftSettings& settings, const SignalShape& shape) {
  return std::make_unique<FormantShift>(settings, shape);
}

}  // namespace melisma
