// Signals of which an effect's result is known, and how it is measured.
#pragma once
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include "data/effects/effects.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"

namespace melisma::testing {

inline constexpr std::int64_t kRate = 44100;

// A chain's file, "name = ..." and settings a line: effect("delay\ntime_ms = 10").
inline std::string effect_table(const std::string& name_and_settings) {
  const auto end = name_and_settings.find('\n');
  const auto settings = end == std::string::npos ? "" : name_and_settings.substr(end);
  return "[[effect]]\nname = \"" + name_and_settings.substr(0, end) + "\"" + settings + "\n";
}

inline std::unique_ptr<Effect> made_of(const std::string& toml, std::int64_t n_channels = 1,
                                       std::int64_t rate_hz = kRate) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "chain.toml", toml);
  return EffectChain::read(folder / "chain.toml").make(rate_hz, n_channels);
}

// `wave` through an effect, pushed in blocks whose sizes are drawn from `block_sizes` in turn.
inline Waveform through(Effect& effect, const Waveform& wave,
                        const std::vector<std::int64_t>& block_sizes = {1 << 30}) {
  std::vector<std::vector<float>> channels(static_cast<std::size_t>(wave.n_channels));
  const auto take = [&](const Waveform& out) {
    for (std::int64_t c = 0; c < wave.n_channels; ++c) {
      const auto samples = out.channel(c);
      auto& channel = channels[static_cast<std::size_t>(c)];
      channel.insert(channel.end(), samples.begin(), samples.end());
    }
  };
  std::size_t k = 0;
  for (std::int64_t first = 0; first < wave.n_frames();) {
    const auto count = std::min(block_sizes[k++ % block_sizes.size()], wave.n_frames() - first);
    Waveform block{.n_channels = wave.n_channels, .sample_rate_hz = wave.sample_rate_hz};
    for (std::int64_t c = 0; c < wave.n_channels; ++c) {
      const auto part = wave.channel(c).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
      block.samples.insert(block.samples.end(), part.begin(), part.end());
    }
    effect.push(std::move(block), take);
    first += count;
  }
  effect.finish(take);
  Waveform out{.n_channels = wave.n_channels, .sample_rate_hz = wave.sample_rate_hz};
  for (const auto& channel : channels) out.samples.insert(out.samples.end(), channel.begin(), channel.end());
  return out;
}

// One effect over one channel.
inline std::vector<float> with_effect(const std::string& name_and_settings, std::vector<float> samples,
                                      std::int64_t rate_hz = kRate) {
  return through(*made_of(effect_table(name_and_settings), 1, rate_hz), {std::move(samples), 1, rate_hz}).samples;
}

inline std::vector<float> sine(double frequency_hz, double amplitude, double seconds, double rate_hz = kRate) {
  std::vector<float> samples(static_cast<std::size_t>(seconds * rate_hz));
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const double turns = frequency_hz * static_cast<double>(n) / rate_hz;
    samples[n] = static_cast<float>(amplitude * std::sin(2 * std::numbers::pi * turns));
  }
  return samples;
}

// Samples of +-amplitude: their absolute value never changes.
inline std::vector<float> square(double amplitude, double seconds) {
  auto samples = sine(220.5, 1, seconds);
  for (auto& sample : samples) sample = static_cast<float>(sample >= 0 ? amplitude : -amplitude);
  return samples;
}

inline std::vector<float> noise(double amplitude, double seconds, std::uint32_t seed = 5) {
  Lcg random(seed);
  std::vector<float> samples(static_cast<std::size_t>(seconds * kRate));
  for (auto& sample : samples) sample = static_cast<float>(amplitude * random.next());
  return samples;
}

inline std::vector<float> impulse(std::size_t at, std::size_t length) {
  std::vector<float> samples(length);
  samples[at] = 1;
  return samples;
}

inline double db(double factor) { return 20 * std::log10(factor); }

inline double rms(std::span<const float> samples) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample) * static_cast<double>(sample);
  return std::sqrt(sum / static_cast<double>(samples.size()));
}

inline double peak(std::span<const float> samples) {
  double largest = 0;
  for (const float sample : samples) largest = std::max(largest, std::abs(static_cast<double>(sample)));
  return largest;
}

// Amplitude of one frequency in samples, by a Hann-windowed projection.
inline double amplitude_at(std::span<const float> samples, double frequency_hz, double rate_hz = kRate) {
  double re = 0, im = 0, sum = 0;
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const double place = static_cast<double>(n) / static_cast<double>(samples.size());
    const double window = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * place);
    const double angle = 2 * std::numbers::pi * frequency_hz * static_cast<double>(n) / rate_hz;
    re += window * static_cast<double>(samples[n]) * std::cos(angle);
    im += window * static_cast<double>(samples[n]) * std::sin(angle);
    sum += window;
  }
  return 2 * std::hypot(re, im) / sum;
}

// What a linear effect does to one frequency: |its response| from its impulse response.
inline double response_of(const std::string& name_and_settings, double frequency_hz, double seconds = 1) {
  const auto response = with_effect(name_and_settings, impulse(0, static_cast<std::size_t>(seconds * kRate)));
  double re = 0, im = 0;
  for (std::size_t n = 0; n < response.size(); ++n) {
    const double angle = 2 * std::numbers::pi * frequency_hz * static_cast<double>(n) / kRate;
    re += static_cast<double>(response[n]) * std::cos(angle);
    im -= static_cast<double>(response[n]) * std::sin(angle);
  }
  return std::hypot(re, im);
}

// The middle of a signal, where it has settled.
inline std::span<const float> middle(const std::vector<float>& samples) {
  return std::span(samples).subspan(samples.size() / 4, samples.size() / 2);
}

}  // namespace melisma::testing
