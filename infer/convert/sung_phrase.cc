#include "infer/convert/sung_phrase.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace melisma {
namespace sung_phrase_detail {
namespace {

using Formants = std::array<double, 4>;  // Hz
constexpr std::array<double, 4> kBandwidths{80, 90, 120, 180};

struct Syllable {
  double start, end;  // s
  double semitones;   // above the lowest note
  Formants formants;
  bool has_s;  // 120 ms of hiss before it
};
constexpr Formants kA{850, 1220, 2810, 3900}, kE{610, 2330, 2990, 4000}, kI{310, 2790, 3310, 4100},
    kO{590, 920, 2710, 3800}, kU{370, 950, 2670, 3700};
constexpr std::array<Syllable, 6> kSyllables{{{0.15, 0.75, 0, kA, false},
                                              {0.80, 1.40, 2, kE, false},
                                              {1.57, 2.20, 7, kI, true},
                                              {2.25, 2.90, 10, kO, false},
                                              {2.95, 3.50, 5, kU, false},
                                              {3.67, 4.40, 0, kA, true}}};
constexpr double kSeconds = 4.5, kHissSeconds = 0.12, kGlideSeconds = 0.06;
constexpr double kHighestHarmonicHz = 8000;

// From 0 to 1 and back over a syllable, with soft edges.
double loudness_at(const Syllable& syllable, double t) {
  const double in = std::clamp((t - syllable.start) / 0.05, 0.0, 1.0),
               out = std::clamp((syllable.end - t) / 0.09, 0.0, 1.0);
  return std::sin(std::numbers::pi / 2 * in) * std::sin(std::numbers::pi / 2 * out);
}

// How much of the syllable at t is heard, against the one before it: pitch and vowel glide into it.
double glide_at(const Syllable& syllable, double t) {
  return std::clamp((t - syllable.start) / kGlideSeconds, 0.0, 1.0);
}

// Gain of the vocal tract at `hz`: its resonances one behind the other, 1 at 0 Hz.
double tract_gain(const Formants& formants, double hz) {
  double gain = 1;
  for (std::size_t i = 0; i < formants.size(); ++i) {
    const double square = formants[i] * formants[i];
    gain *= square / std::hypot(square - hz * hz, kBandwidths[i] * hz);
  }
  return gain;
}

// White noise in [-1, 1), the same every time.
class Hiss {
 public:
  double next() {
    state_ = 1664525U * state_ + 1013904223U;
    return static_cast<double>(state_) / 2147483648.0 - 1;
  }

 private:
  std::uint32_t state_ = 1;
};

// The melody: phase of the voice from sample to sample.
class Singer {
 public:
  explicit Singer(const SungPhraseConfig& config) : config_(config) {}

  // The sample of syllable `i` at t seconds.
  double sing(std::size_t i, double t) {
    const auto& now = kSyllables[i];
    const auto& before = kSyllables[i == 0 ? 0 : i - 1];
    const double glide = glide_at(now, t), rate = static_cast<double>(config_.sample_rate_hz);
    const double vibrato =
        0.25 * std::clamp((t - now.start - 0.2) / 0.2, 0.0, 1.0) * std::sin(2 * std::numbers::pi * 5.5 * t);
    const double semitones = before.semitones + glide * (now.semitones - before.semitones) + vibrato;
    const double f0 = config_.lowest_note_hz * std::exp2(semitones / 12);
    Formants formants{};
    for (std::size_t k = 0; k < formants.size(); ++k) {
      formants[k] = before.formants[k] + glide * (now.formants[k] - before.formants[k]);
    }
    phase_ = std::fmod(phase_ + f0 / rate, 1.0);
    double sum = 0;
    for (int k = 1; k * f0 < std::min(kHighestHarmonicHz, 0.45 * rate); ++k) {
      sum += tract_gain(formants, k * f0) / k * std::sin(2 * std::numbers::pi * phase_ * k);
    }
    return sum * loudness_at(now, t);
  }

 private:
  SungPhraseConfig config_;
  double phase_ = 0;  // cycles
};

// "s" before the syllable: noise whose low end is taken away, swelling and fading.
double hiss_before(const Syllable& syllable, double t, double noise, double last_noise) {
  const double at = (t - syllable.start + kHissSeconds + 0.02) / kHissSeconds;
  if (!syllable.has_s || at <= 0 || at >= 1) return 0;
  return std::sin(std::numbers::pi * at) * (noise - last_noise);
}

}  // namespace
}  // namespace sung_phrase_detail

Waveform sung_phrase(const SungPhraseConfig& config) {
  using namespace sung_phrase_detail;
  Singer singer(config);
  Hiss hiss;
  double last_noise = 0;
  const auto n = static_cast<std::int64_t>(kSeconds * static_cast<double>(config.sample_rate_hz));
  Waveform phrase{.n_channels = 1, .sample_rate_hz = config.sample_rate_hz};
  for (std::int64_t sample = 0; sample < n; ++sample) {
    const double t = static_cast<double>(sample) / static_cast<double>(config.sample_rate_hz);
    const double noise = hiss.next();
    double value = 0;
    for (std::size_t i = 0; i < kSyllables.size(); ++i) {
      if (t >= kSyllables[i].start && t < kSyllables[i].end) value += singer.sing(i, t);
      value += hiss_before(kSyllables[i], t, noise, last_noise);
    }
    last_noise = noise;
    phrase.samples.push_back(static_cast<float>(value));
  }
  float peak = 0;
  for (const float sample : phrase.samples) peak = std::max(peak, std::abs(sample));
  for (float& sample : phrase.samples) sample *= 0.7F / peak;
  return phrase;
}

}  // namespace melisma
