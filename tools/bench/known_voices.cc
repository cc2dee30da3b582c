#include "tools/bench/known_voices.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>

#include "tools/base/seed.h"

namespace melisma {
namespace known_voices_detail {
namespace {

constexpr double kRateHz = 16000, kTopHz = 7500;
constexpr std::int64_t kHop = 160;
constexpr double kPhraseSeconds = 2.2, kSungSeconds = 1.5, kHissSeconds = 0.3;  // the rest of a phrase is a pause
constexpr double kFadeSeconds = 0.03;

// First three formants of five vowels, in Hz.
constexpr std::array<std::array<double, 3>, 5> kVowels{
    {{700, 1200, 2600}, {400, 2000, 2700}, {300, 2300, 3000}, {450, 850, 2600}, {330, 750, 2500}}};

struct Recipe {
  std::string name;
  std::function<double(double t)> hz;  // at a time in seconds
  double jitter = 0.003;               // deviation of a period's length
  double breath = 0.03;                // deviation of the noise while sung, of the voice's own
};

// How loud a harmonic is: a source that falls 6 dB an octave, through three resonances between two vowels.
double loudness_at(double hz, double t) {
  const auto position = t / 0.35;
  const auto from = static_cast<std::size_t>(position) % kVowels.size(), to = (from + 1) % kVowels.size();
  const auto share = position - std::floor(position);
  double gain = 0.02;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto centre = (1 - share) * kVowels[from][i] + share * kVowels[to][i], width = 60 + 0.05 * centre;
    gain += 1 / (1 + std::pow((hz - centre) / width, 2)) / static_cast<double>(i + 1);
  }
  return gain * 200 / (200 + hz);
}

// 0 outside [0, length], 1 inside, faded at both ends.
double faded(double t, double length) { return std::clamp(std::min(t, length - t) / kFadeSeconds, 0.0, 1.0); }

// Deviation of white noise between -1 and 1.
const double kWhiteDeviation = 1 / std::sqrt(3.0);

// Where in its phrase a sample lies, and how loud voice and hiss are there.
struct Moment {
  double sung, hissed;
  explicit Moment(double t)
      : sung(faded(std::fmod(t, kPhraseSeconds), kSungSeconds)),
        hissed(faded(std::fmod(t, kPhraseSeconds) - kSungSeconds, kHissSeconds)) {}
};

// The harmonics alone; voice.f0_hz is set on the way.
void render_tone(const Recipe& recipe, RandomSource& random, KnownVoice& voice) {
  double phase = 0, stretch = 1;
  std::vector<double> before, after;  // amplitudes of harmonics at the last and the next frame
  for (std::size_t i = 0; i < voice.wave.size(); ++i) {
    const auto t = static_cast<double>(i) / kRateHz, hz = recipe.hz(t) * stretch;
    const auto sung = Moment(t).sung, cycles = std::floor(phase);
    phase += hz / kRateHz;
    if (std::floor(phase) > cycles) stretch = 1 + recipe.jitter / kWhiteDeviation * (2 * random.uniform() - 1);
    if (i % kHop == 0) {
      if (i / kHop < voice.f0_hz.size()) voice.f0_hz[i / kHop] = sung > 0.5 ? hz : 0;
      before = std::move(after);
      after.clear();
      const auto next = t + kHop / kRateHz, next_hz = recipe.hz(next);
      for (int h = 1; h * next_hz < kTopHz; ++h) after.push_back(loudness_at(h * next_hz, next));
      before.resize(std::max(before.size(), after.size()));
      after.resize(before.size());
    }
    const auto share = static_cast<double>(i % kHop) / kHop;
    double tone = 0;
    for (std::size_t h = 0; sung > 0 && h < after.size(); ++h) {
      tone += ((1 - share) * before[h] + share * after[h]) *
              std::sin(2 * std::numbers::pi * static_cast<double>(h + 1) * phase);
    }
    voice.wave[i] = static_cast<float>(0.15 * sung * tone);
  }
}

// Root of the mean square of what is not 0.
double loudness_of(const std::vector<float>& wave) {
  double sum = 0, count = 0;
  for (const auto sample : wave) sum += static_cast<double>(sample) * sample, count += sample != 0;
  return std::sqrt(sum / std::max(1.0, count));
}

KnownVoice rendered(const Recipe& recipe, double seconds) {
  const auto n = static_cast<std::size_t>(seconds * kRateHz);
  KnownVoice voice{recipe.name, std::vector<float>(n), std::vector<double>(n / kHop)};
  RandomSource random(seed_of(0, "known voices", {static_cast<std::int64_t>(recipe.name.size())}));
  render_tone(recipe, random, voice);
  const auto loudness = loudness_of(voice.wave);
  double last = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const Moment moment(static_cast<double>(i) / kRateHz);
    const auto white = (2 * random.uniform() - 1) / kWhiteDeviation, hiss = white - last;
    last = white;
    voice.wave[i] +=
        static_cast<float>(loudness * ((recipe.breath * moment.sung + 0.003) * white + 0.2 * moment.hissed * hiss));
  }
  return voice;
}

Recipe speech(std::string name, double low_hz, double high_hz) {
  return {.name = std::move(name), .hz = [=](double t) {
            const auto fall = 1 - std::fmod(t, kPhraseSeconds) / kPhraseSeconds;
            return low_hz * std::pow(high_hz / low_hz, 0.5 * fall + 0.25 + 0.25 * std::sin(7 * t));
          }};
}

Recipe singing(std::string name) {
  return {.name = std::move(name), .hz = [](double t) {
            return 360 * std::exp2(1.1 * std::sin(0.8 * t) + 50.0 / 1200 * std::sin(2 * std::numbers::pi * 5.8 * t));
          }};
}

void add_echoes(KnownVoice& voice) {
  auto dry = voice.wave;
  for (const auto& [milliseconds, gain] : {std::pair{23, 0.4F}, {37, 0.3F}, {53, 0.25F}, {79, 0.15F}, {113, 0.1F}}) {
    const auto delay = static_cast<std::size_t>(milliseconds * kRateHz / 1000);
    for (std::size_t i = delay; i < dry.size(); ++i) voice.wave[i] += gain * dry[i - delay];
  }
}

// Three held notes, each with five harmonics, a new chord each second; 10 dB below the voice.
void add_chords(KnownVoice& voice) {
  std::vector<float> chords(voice.wave.size());
  for (std::size_t i = 0; i < chords.size(); ++i) {
    const auto t = static_cast<double>(i) / kRateHz;
    for (const int step : {0, 4, 7}) {
      const auto hz = 131 * std::exp2((step + 5 * (static_cast<int>(t) % 3)) / 12.0);
      for (int h = 1; h <= 5; ++h) {
        chords[i] += static_cast<float>(std::sin(2 * std::numbers::pi * h * hz * t) / (h * h));
      }
    }
  }
  const auto gain = static_cast<float>(std::pow(10, -10 / 20.0) * loudness_of(voice.wave) / loudness_of(chords));
  for (std::size_t i = 0; i < chords.size(); ++i) voice.wave[i] += gain * chords[i];
}

}  // namespace
}  // namespace known_voices_detail

KnownVoice singing_voice(double seconds) {
  using namespace known_voices_detail;
  return rendered(singing("singing"), seconds);
}

std::vector<KnownVoice> known_voices(double seconds_each) {
  using namespace known_voices_detail;
  auto creak = speech("creak", 55, 75);
  creak.jitter = 0.02;
  auto breathy = speech("breathy", 180, 340);
  breathy.breath = 0.5;
  std::vector<KnownVoice> voices;
  for (const auto& recipe : {speech("low speech", 90, 160), speech("high speech", 180, 340), creak, singing("singing"),
                             breathy, speech("in a room", 90, 160), singing("with chords")}) {
    voices.push_back(rendered(recipe, seconds_each));
  }
  add_echoes(voices[5]);
  add_chords(voices[6]);
  return voices;
}

}  // namespace melisma
