#include "data/augment/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "data/audio/resample.h"
#include "data/effects/decibels.h"
#include "data/effects/equalizer.h"
#include "data/effects/pitch_shift.h"

namespace melisma {
namespace {

constexpr double kLowestBellHz = 60, kHighestBellHz = 12000;
constexpr double kHighestBellShare = 0.45;  // of the sample rate
constexpr std::string_view kUnpitchedStem = "drums";

// Uniform in [-limit, limit).
double either_way(double limit, RandomSource& random) { return limit * (2 * random.uniform() - 1); }

// Two draws of a normal distribution (Box and Muller 1958) give one.
double normal(RandomSource& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

void scale(std::span<float> samples, double factor) {
  for (auto& sample : samples) sample = static_cast<float>(sample * factor);
}

// The whole of `wave` through an effect.
template <class Settings>
Waveform through(const Settings& settings, Waveform wave) {
  const auto n_channels = wave.n_channels;
  const auto rate_hz = wave.sample_rate_hz;
  std::vector<std::vector<float>> made(static_cast<std::size_t>(n_channels));
  const auto take = [&](const Waveform& block) {
    for (std::int64_t c = 0; c < n_channels; ++c) {
      const auto channel = block.channel(c);
      made[static_cast<std::size_t>(c)].insert(made[static_cast<std::size_t>(c)].end(), channel.begin(), channel.end());
    }
  };
  auto effect = make_effect(settings, SignalShape{rate_hz, n_channels, {}});
  effect->push(std::move(wave), take);
  effect->finish(take);
  Waveform out{{}, n_channels, rate_hz};
  for (const auto& channel : made) out.samples.insert(out.samples.end(), channel.begin(), channel.end());
  return out;
}

void take_from_another_song(AugmentedTrack& track, const AugmentConfig&, RandomSource& random, const FindDonor& donor) {
  if (!donor) return;
  auto other = donor(track.stem, random);
  if (other && other->n_frames() == track.wave.n_frames()) track.wave = *std::move(other);
}

// Played at another rate: cut, or silent at its end.
void change_speed(AugmentedSong& song, const AugmentConfig& config, RandomSource& random) {
  const double factor = 1 + either_way(config.speed_percent, random) / 100;
  for (auto& track : song.tracks) {
    auto& wave = track.wave;
    auto played = wave;
    played.sample_rate_hz = std::llround(static_cast<double>(wave.sample_rate_hz) * factor);
    const auto made = resample(played, wave.sample_rate_hz);
    std::fill(wave.samples.begin(), wave.samples.end(), 0.0F);
    const auto count = static_cast<std::size_t>(std::min(made.n_frames(), wave.n_frames()));
    for (std::int64_t c = 0; c < wave.n_channels; ++c) {
      std::copy_n(made.channel(c).begin(), count, wave.channel(c).begin());
    }
  }
}

// The mix holds drums too and cannot follow: it is stale.
void change_pitch(AugmentedSong& song, const AugmentConfig& config, RandomSource& random) {
  const PitchShiftSettings settings{.semitones = either_way(config.pitch_semitones, random)};
  for (auto& track : song.tracks) {
    if (!track.is_mix && track.stem != kUnpitchedStem) track.wave = through(settings, std::move(track.wave));
  }
  song.is_mix_stale = true;
}

void add_bell(AugmentedTrack& track, const AugmentConfig& config, RandomSource& random, const FindDonor&) {
  const double highest = std::min(kHighestBellHz, kHighestBellShare * static_cast<double>(track.wave.sample_rate_hz));
  const double place = random.uniform();
  const PeakSettings settings{.frequency_hz = kLowestBellHz * std::pow(highest / kLowestBellHz, place),
                              .gain_db = either_way(config.eq_db, random)};
  track.wave = through(settings, std::move(track.wave));
}

void change_gain(AugmentedTrack& track, const AugmentConfig& config, RandomSource& random, const FindDonor&) {
  scale(track.wave.samples, factor_of_db(either_way(config.gain_db, random)));
}

// Gains sqrt(2) cos and sqrt(2) sin of an angle: the middle changes nothing, an end doubles the power of one side.
void change_pan(AugmentedTrack& track, const AugmentConfig&, RandomSource& random, const FindDonor&) {
  auto& wave = track.wave;
  if (wave.n_channels == 1) {
    const auto left = wave.samples;
    wave.samples.insert(wave.samples.end(), left.begin(), left.end());
    wave.n_channels = 2;
  }
  const double angle = random.uniform() * std::numbers::pi / 2;
  scale(wave.channel(0), std::numbers::sqrt2 * std::cos(angle));
  scale(wave.channel(1), std::numbers::sqrt2 * std::sin(angle));
}

void turn_over(AugmentedTrack& track, const AugmentConfig&, RandomSource&, const FindDonor&) {
  scale(track.wave.samples, -1);
}

void add_noise(AugmentedTrack& track, const AugmentConfig& config, RandomSource& random, const FindDonor&) {
  double power = 0;
  for (const double sample : track.wave.samples) power += sample * sample;
  const double level = std::sqrt(power / static_cast<double>(std::max<std::size_t>(1, track.wave.samples.size()))) *
                       factor_of_db(config.noise_db);
  for (auto& sample : track.wave.samples) sample += static_cast<float>(level * normal(random));
}

void swap_channels(AugmentedSong& song, const AugmentConfig&, RandomSource&) {
  for (auto& track : song.tracks) {
    if (track.wave.n_channels != 2) continue;
    const auto left = track.wave.channel(0), right = track.wave.channel(1);
    std::swap_ranges(left.begin(), left.end(), right.begin());
  }
}

constexpr std::array kAugmentations{
    AugmentationRow{"remix", "a track of the same kind from another song", &AugmentConfig::remix, nullptr,
                    take_from_another_song},
    AugmentationRow{"speed", "all tracks faster or slower, as a tape", &AugmentConfig::speed, change_speed, nullptr},
    AugmentationRow{"pitch", "all tracks but drums higher or lower at the same speed", &AugmentConfig::pitch,
                    change_pitch, nullptr},
    AugmentationRow{"eq", "a bell between 60 Hz and 12 kHz", &AugmentConfig::eq, nullptr, add_bell},
    AugmentationRow{"gain", "a track louder or quieter", &AugmentConfig::gain, nullptr, change_gain},
    AugmentationRow{"pan", "a track elsewhere between left and right", &AugmentConfig::pan, nullptr, change_pan},
    AugmentationRow{"polarity", "a track upside down", &AugmentConfig::polarity, nullptr, turn_over},
    AugmentationRow{"noise", "white noise under a track", &AugmentConfig::noise, nullptr, add_noise},
    AugmentationRow{"channel_swap", "left and right of all tracks and the mix exchanged", &AugmentConfig::channel_swap,
                    swap_channels, nullptr},
};

}  // namespace

std::span<const AugmentationRow> augmentations() { return kAugmentations; }

void augment(AugmentedSong& song, const AugmentConfig& config, std::uint64_t seed,
             std::initializer_list<std::int64_t> position, const FindDonor& donor) {
  for (const auto& row : kAugmentations) {
    const auto stream = seed_of(seed, row.name, position);
    if (row.of_song != nullptr) {
      RandomSource random(stream);
      if (random.uniform() < config.*row.probability) row.of_song(song, config, random);
      continue;
    }
    for (std::size_t i = 0; i < song.tracks.size(); ++i) {
      RandomSource random(seed_of(stream, "track", {static_cast<std::int64_t>(i)}));
      if (song.tracks[i].is_mix || random.uniform() >= config.*row.probability) continue;
      row.of_track(song.tracks[i], config, random, donor);
      song.is_mix_stale = true;
    }
  }
}

}  // namespace melisma
