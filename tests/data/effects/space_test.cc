// Rooms, echoes and copies on known signals.
#include <gtest/gtest.h>

#include "data/audio/audio_writer.h"
#include "tests/data/effects/known_signals.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
using testing::amplitude_at;
using testing::db;
using testing::effect_table;
using testing::impulse;
using testing::kRate;
using testing::made_of;
using testing::middle;
using testing::noise;
using testing::rms;
using testing::sine;
using testing::through;
using testing::with_effect;

// Seconds until the energy still to come has fallen by 60 dB, from its fall between -5 and -25 dB (Schroeder 1965).
double decay_s(const std::vector<float>& response) {
  std::vector<double> left(response.size() + 1);
  for (std::size_t n = response.size(); n-- > 0;) {
    left[n] = left[n + 1] + static_cast<double>(response[n]) * static_cast<double>(response[n]);
  }
  const auto at = [&](double decibels) {
    std::size_t n = 0;
    while (10 * std::log10(left[n] / left[0]) > decibels) ++n;
    return static_cast<double>(n) / kRate;
  };
  return 3 * (at(-25) - at(-5));
}

std::vector<float> room(const std::string& settings, double seconds = 6) {
  return with_effect("reverb\ndry = 0\nwet = 1\n" + settings, impulse(0, static_cast<std::size_t>(seconds * kRate)));
}

TEST(ReverbEffect, DecaysInTheTimeItIsToldWhateverTheRoom) {
  for (const double wanted_s : {0.4, 1.2, 3.0}) {
    for (const double size : {0.1, 0.5, 1.0}) {
      const auto settings =
          "damping = 0\ndecay_s = " + std::to_string(wanted_s) + "\nroom_size = " + std::to_string(size);
      EXPECT_NEAR(decay_s(room(settings)), wanted_s, 0.1 * wanted_s + 0.02 * size) << settings;
    }
  }
}

TEST(ReverbEffect, DampingFadesHighTonesFaster) {
  const auto octave_decay_s = [](double damping, double frequency_hz) {
    auto response = room("decay_s = 2\ndamping = " + std::to_string(damping));
    const auto hz = std::to_string(frequency_hz);
    return decay_s(with_effect("ladder\nmode = \"band-pass-24\"\nfrequency_hz = " + hz, std::move(response)));
  };
  EXPECT_NEAR(octave_decay_s(0.7, 150), 2, 0.25);
  EXPECT_LT(octave_decay_s(0.7, 6000), 0.8);
  EXPECT_GT(octave_decay_s(0, 6000), 1.7);
  EXPECT_LT(octave_decay_s(1, 6000), octave_decay_s(0.7, 6000));
}

TEST(ReverbEffect, AnswersAfterThePreDelayAndTheFirstEchoTellsTheSize) {
  const auto first_sound_s = [](const std::vector<float>& response) {
    std::size_t n = 0;
    while (std::abs(response[n]) < 1e-6) ++n;
    return static_cast<double>(n) / kRate;
  };
  EXPECT_NEAR(first_sound_s(room("room_size = 1\npre_delay_ms = 0", 1)), 0.0613, 0.0002);
  EXPECT_NEAR(first_sound_s(room("room_size = 0\npre_delay_ms = 0", 1)), 0.00613, 0.0002);
  EXPECT_NEAR(first_sound_s(room("room_size = 0\npre_delay_ms = 100", 1)), 0.10613, 0.0002);
}

TEST(ReverbEffect, SteadyNoiseIsAboutAsLoudInTheRoomAsOutside) {
  for (const std::string settings : {"decay_s = 0.5", "decay_s = 4\nroom_size = 0.9", "decay_s = 1\nroom_size = 0.1"}) {
    const auto in = noise(0.3, 10);
    const auto out = with_effect("reverb\ndry = 0\nwet = 1\ndamping = 0\n" + settings, in);
    EXPECT_NEAR(db(rms(std::span(out).last(kRate)) / rms(in)), 0, 1.5) << settings;
  }
}

TEST(ReverbEffect, TheWidthIsHowDifferentBothSidesAre) {
  const auto difference = [](const std::string& width) {
    auto effect = made_of(effect_table("reverb\ndry = 0\nwet = 1\nwidth = " + width), 2);
    auto samples = noise(0.5, 1);
    const auto copy = samples;
    samples.insert(samples.end(), copy.begin(), copy.end());
    const auto out = through(*effect, {std::move(samples), 2, kRate});
    std::vector<float> side(static_cast<std::size_t>(out.n_frames()));
    for (std::size_t n = 0; n < side.size(); ++n) side[n] = out.channel(0)[n] - out.channel(1)[n];
    return rms(side) / rms(out.samples);
  };
  EXPECT_EQ(difference("0"), 0);
  EXPECT_GT(difference("1"), 0.7);
  EXPECT_NEAR(difference("0.5") / difference("1"), 0.6, 0.15);
}

TEST(ConvolutionEffect, IsTheSumOfDelayedCopies) {
  testing::TemporaryFolder folder;
  const auto response = noise(0.5, 0.5, 11);  // longer than three partitions
  write_audio(folder / "room.wav", {response, 1, kRate}, "wav32f");
  write_file_atomically(folder / "chain.toml", effect_table("convolution\nimpulse = \"room.wav\"\nnormalise = false"));
  const auto in = noise(0.5, 0.4, 12);
  const auto out = through(*EffectChain::read(folder / "chain.toml").make(kRate, 1), {in, 1, kRate}).samples;
  ASSERT_EQ(out.size(), in.size());
  for (std::size_t n = 0; n < out.size(); n += 97) {
    double expected = 0;
    for (std::size_t k = 0; k <= n && k < response.size(); ++k) {
      expected += static_cast<double>(response[k]) * static_cast<double>(in[n - k]);
    }
    ASSERT_NEAR(out[n], expected, 2e-5) << n;
  }
}

TEST(ConvolutionEffect, NormalisedKeepsTheLoudnessOfNoiseAndOneResponseAChannel) {
  testing::TemporaryFolder folder;
  auto responses = noise(0.9, 0.2, 11);
  const auto n = responses.size();
  const auto other = impulse(500, n);
  responses.insert(responses.end(), other.begin(), other.end());
  write_audio(folder / "stereo.wav", {responses, 2, kRate}, "wav32f");
  write_audio(folder / "mono.wav", {noise(0.01, 0.2), 1, kRate / 2}, "wav32f");
  write_file_atomically(folder / "mono.toml", effect_table("convolution\nimpulse = \"mono.wav\""));
  write_file_atomically(folder / "stereo.toml",
                        effect_table("convolution\nimpulse = \"stereo.wav\"\nnormalise = false"));
  const auto in = noise(0.3, 2);
  const auto out = through(*EffectChain::read(folder / "mono.toml").make(kRate, 1), {in, 1, kRate}).samples;
  // The response of half the rate has nothing in the upper octave.
  EXPECT_NEAR(db(rms(middle(out)) / rms(in)), 0, 0.5);
  auto both = in;
  both.insert(both.end(), in.begin(), in.end());
  const auto stereo = through(*EffectChain::read(folder / "stereo.toml").make(kRate, 2), {both, 2, kRate});
  EXPECT_NEAR(stereo.channel(1)[5000], in[4500], 1e-5);
  EXPECT_GT(std::abs(stereo.channel(0)[5000] - in[4500]), 1e-3);
  EXPECT_EQ(
      testing::refusal_of(ErrorKind::config, [&] { (void)EffectChain::read(folder / "stereo.toml").make(kRate, 1); }),
      "the impulse response '" + (folder / "stereo.wav").string() +
          "' has 2 channels, the signal 1; use one with one channel, or as many");
}

TEST(ConvolutionEffect, RefusesWhatIsNoResponse) {
  testing::TemporaryFolder folder;
  write_audio(folder / "silence.wav", {std::vector<float>(100), 1, kRate});
  const auto refusal = [&](ErrorKind kind, const std::string& settings) {
    write_file_atomically(folder / "chain.toml", effect_table("convolution" + settings));
    return testing::refusal_of(kind, [&] { (void)EffectChain::read(folder / "chain.toml").make(kRate, 1); });
  };
  EXPECT_EQ(refusal(ErrorKind::config, ""), "a convolution needs the file of an impulse response: impulse");
  EXPECT_EQ(refusal(ErrorKind::data, "\nimpulse = \"silence.wav\""),
            "the impulse response '" + (folder / "silence.wav").string() + "' holds only silence");
  EXPECT_NE(refusal(ErrorKind::data, "\nimpulse = \"none.wav\"").find("none.wav"), std::string::npos);
}

TEST(DelayEffect, EchoesComeAtTheirSamplesAndGetQuieter) {
  const auto out = with_effect("delay\ntime_ms = 10\nfeedback = 0.5\nmix = 0.4", impulse(7, 3000));
  const std::vector<double> expected{0.6, 0.4, 0.2, 0.1, 0.05};
  std::size_t n_sounding = 0;
  for (std::size_t n = 0; n < out.size(); ++n) n_sounding += out[n] != 0;
  EXPECT_EQ(n_sounding, 7u);  // in 3000 samples the sound and six echoes of 441
  for (std::size_t k = 0; k < expected.size(); ++k) EXPECT_NEAR(out[7 + 441 * k], expected[k], 1e-7) << k;
}

TEST(ChorusEffect, CopiesAreDelayedByAsMuchAsTheyAreTold) {
  const auto delays = [](const std::string& settings) {
    std::vector<double> delays;
    std::vector<float> in(2 * kRate);
    for (std::size_t n = 1000; n < in.size(); n += 2000) in[n] = 1;
    const auto out = with_effect("chorus\nmix = 1\n" + settings, in);
    for (std::size_t n = 1000; n + 2000 < in.size(); n += 2000) {
      double sum = 0, moment = 0;  // centre of the copy: interpolation spreads it over four samples
      for (std::size_t k = 0; k < 1900; ++k) {
        sum += static_cast<double>(out[n + k]);
        moment += static_cast<double>(k) * static_cast<double>(out[n + k]);
      }
      delays.push_back(moment / sum / kRate * 1000);
    }
    return delays;
  };
  for (const double ms : delays("centre_ms = 7\ndepth_ms = 0")) EXPECT_NEAR(ms, 7, 0.01);
  const auto wandering = delays("centre_ms = 10\ndepth_ms = 4\nrate_hz = 0.7");
  for (std::size_t k = 0; k < wandering.size(); ++k) {
    // The copy of a click at t comes when its delay has passed.
    const double seconds = (1000.0 + 2000.0 * static_cast<double>(k)) / kRate + wandering[k] / 1000;
    EXPECT_NEAR(wandering[k], 10 + 4 * std::sin(2 * std::numbers::pi * 0.7 * seconds), 0.05) << k;
  }
}

TEST(ChorusEffect, StandingStillItIsAComb) {
  // Half a millisecond later a tone of 1 kHz is upside down, one of 2 kHz in step: here 10 ms, 100 Hz and 50 Hz.
  const std::string comb = "chorus\ncentre_ms = 10\ndepth_ms = 0\nmix = 0.5";
  EXPECT_LT(testing::response_of(comb, 150), 0.01);
  EXPECT_NEAR(testing::response_of(comb, 200), 1, 0.01);
  EXPECT_NE(testing::refusal_of(ErrorKind::config, [] { made_of(effect_table("chorus\ndepth_ms = 7")); })
                .find("a chorus 7 ms deep around 7 ms: the depth must be at most 6.5 ms"),
            std::string::npos);
}

TEST(PhaserEffect, NotchesLieWhereTheAllPassStagesTurnAroundOnce) {
  // n stages turn by 2 n atan(w / w0): upside down at pi, so a notch of four stages lies at w = w0 tan(pi / 8).
  const std::string phaser = "phaser\nstages = 4\nlow_hz = 1000\nhigh_hz = 1000\nmix = 0.5";
  const auto notch_hz = [](double turns) {
    return std::atan(std::tan(std::numbers::pi * 1000 / kRate) * turns) * kRate / std::numbers::pi;
  };
  const double low_hz = notch_hz(std::tan(std::numbers::pi / 8)),
               high_hz = notch_hz(std::tan(3 * std::numbers::pi / 8));
  EXPECT_LT(db(testing::response_of(phaser, low_hz)), -60);
  EXPECT_LT(db(testing::response_of(phaser, high_hz)), -60);
  EXPECT_NEAR(testing::response_of(phaser, 1000), 1, 1e-4);  // turned twice
  // The stages alone let every frequency pass.
  for (const double hz : {100.0, 1000.0, 9000.0}) {
    EXPECT_NEAR(testing::response_of("phaser\nmix = 1\nlow_hz = 1000\nhigh_hz = 1000", hz), 1, 1e-4);
  }
}

TEST(PhaserEffect, TheNotchPassesATwiceACycle) {
  // Between 200 Hz and 5 kHz and back in a second: a tone of 1 kHz is hit on the way up and on the way down.
  const auto out = with_effect("phaser\nstages = 2\nlow_hz = 200\nhigh_hz = 5000\nrate_hz = 1", sine(1000, 0.5, 3));
  int n_notches = 0;
  bool is_quiet = false;
  for (std::size_t first = kRate; first + 441 < 2 * kRate; first += 441) {
    const bool now = testing::peak(std::span(out).subspan(first, 441)) < 0.15;
    n_notches += now && !is_quiet;
    is_quiet = now;
  }
  EXPECT_EQ(n_notches, 2);
}

TEST(PhaserEffect, RefusesCornersOutOfOrder) {
  EXPECT_NE(testing::refusal_of(ErrorKind::config, [] { made_of(effect_table("phaser\nlow_hz = 900\nhigh_hz = 100")); })
                .find("a phaser from 900 Hz to 100 Hz: high_hz must not be below low_hz"),
            std::string::npos);
}

}  // namespace
}  // namespace melisma
