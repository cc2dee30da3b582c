// What is done to a voice's sound after the network, without a network: the samples are given.
#include "infer/convert/output.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data/audio/audio_file.h"
#include "data/audio/loudness.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {

constexpr std::int64_t kVoiceRate = 40000;

class Output : public ::testing::Test {
 protected:
  static std::vector<float> tone(double hz, double amplitude, double seconds, std::int64_t rate_hz) {
    std::vector<float> samples(static_cast<std::size_t>(seconds * static_cast<double>(rate_hz)));
    for (std::size_t n = 0; n < samples.size(); ++n) {
      samples[n] = static_cast<float>(amplitude *
                                      std::sin(2 * M_PI * hz * static_cast<double>(n) / static_cast<double>(rate_hz)));
    }
    return samples;
  }

  // in.wav of two seconds, and what is written for it.
  SourceAudio recording() const {
    write_audio(folder_ / "in.wav", {recorded_, 1, 44100}, "wav32f");
    return read_source(folder_ / "in.wav", 0);
  }
  ConversionOutput output_for(const SourceAudio& source, const OutputOptions& options, std::int64_t rate_hz) const {
    return {{.recording = folder_ / "in.wav",
             .file = folder_ / "out.wav",
             .voice_rate_hz = kVoiceRate,
             .rate_hz = rate_hz,
             .format = audio_format_named("wav32f")},
            source,
            options};
  }

  // `spoken` (at the voice's rate) through the options, for that recording.
  Waveform through(const OutputOptions& options, const std::vector<float>& spoken, std::size_t block = 5000,
                   std::int64_t rate_hz = kVoiceRate) {
    const auto source = recording();
    auto out = output_for(source, options, rate_hz);
    for (std::size_t first = 0; first < spoken.size(); first += block) {
      out.push(std::span(spoken).subspan(first, std::min(block, spoken.size() - first)));
    }
    out.finish();
    loudness_ = out.loudness();
    return read_audio(folder_ / "out.wav");
  }
  std::shared_ptr<const EffectChain> chain(const std::string& toml) {
    write_file_atomically(folder_ / "chain.toml", toml);
    return std::make_shared<const EffectChain>(EffectChain::read(folder_ / "chain.toml"));
  }

  testing::TemporaryFolder folder_;
  std::vector<float> recorded_ = tone(300, 0.4, 2, 44100);
  std::vector<float> spoken_ = tone(500, 0.1, 2, kVoiceRate);
  std::optional<LoudnessMatch> loudness_;
};

TEST_F(Output, WithoutOptionsItIsTheVoiceAsLongAsTheRecording) {
  EXPECT_EQ(through({}, spoken_).samples, spoken_);
  auto longer = spoken_;
  longer.resize(longer.size() + 399, 0.5F);
  EXPECT_EQ(through({}, longer).samples, spoken_);
  auto shorter = spoken_;
  shorter.resize(shorter.size() - 1000);
  const auto filled = through({}, shorter).samples;
  ASSERT_EQ(filled.size(), spoken_.size());
  EXPECT_EQ(filled.back(), 0);
}

TEST_F(Output, EveryOptionTogetherDoesNotDependOnTheBlocks) {
  const OutputOptions all{.formant_ratio = 1.2,
                          .volume_envelope = 0.3,
                          .mix = 0.7,
                          .effects = chain("[[effect]]\nname = \"reverb\"\n[[effect]]\nname = \"limiter\"\n"),
                          .match_loudness = true};
  const auto whole = through(all, spoken_, 1 << 20, 48000);
  EXPECT_EQ(whole.n_frames(), 96000);
  EXPECT_EQ(through(all, spoken_, 400, 48000).samples, whole.samples);
  EXPECT_EQ(through(all, spoken_, 7777, 48000).samples, whole.samples);
}

TEST_F(Output, TheMixIsTheWeightedSumOfVoiceAndRecording) {
  const auto dry = resample(std::span<const float>(recorded_), 44100, kVoiceRate);
  EXPECT_TRUE(
      testing::near_all(std::vector<double>(dry.begin(), dry.end()), through({.mix = 0}, spoken_).samples, 1e-7));
  std::vector<double> expected;
  for (std::size_t n = 0; n < dry.size(); ++n) expected.push_back(0.25 * double{dry[n]} + 0.75 * double{spoken_[n]});
  EXPECT_TRUE(testing::near_all(expected, through({.mix = 0.75}, spoken_).samples, 1e-6));
}

TEST_F(Output, MatchedLoudnessIsThatOfTheRecording) {
  const double wanted = measure_loudness({recorded_, 1, 44100}).integrated_lufs;
  const auto out = through({.match_loudness = true}, spoken_);
  EXPECT_NEAR(measure_loudness(out).integrated_lufs, wanted, 0.01);
  ASSERT_TRUE(loudness_.has_value());
  EXPECT_NEAR(loudness_->input_lufs, wanted, 0.01);
  EXPECT_NEAR(loudness_->gain_db, wanted - measure_loudness({spoken_, 1, kVoiceRate}).integrated_lufs, 0.01);
  // After the effects, whatever they do to it.
  const auto quiet =
      through({.effects = chain("[[effect]]\nname = \"gain\"\ngain_db = -30\n"), .match_loudness = true}, spoken_);
  EXPECT_NEAR(measure_loudness(quiet).integrated_lufs, wanted, 0.01);
}

TEST_F(Output, AProcessThatDiesLeavesNoCopyBehind) {
  const auto source = recording();
  auto out = output_for(source, {.match_loudness = true}, kVoiceRate);
  out.push(spoken_);
  std::set<std::string> files;  // while the copy is being written
  for (const auto& item : std::filesystem::directory_iterator(folder_.path())) files.insert(item.path().filename());
  EXPECT_EQ(files, (std::set<std::string>{"in.wav", "out.wav"}));
}

TEST_F(Output, WhatHasNoLoudnessIsLeftAsItIs) {
  const auto out = through({.match_loudness = true}, std::vector<float>(spoken_.size()));
  EXPECT_FALSE(loudness_->is_measurable);
  EXPECT_EQ(loudness_->gain_db, 0);
  EXPECT_EQ(out.samples, std::vector<float>(spoken_.size()));
}

TEST_F(Output, EffectsComeAfterTheMix) {
  const auto silent = through({.mix = 0.5, .effects = chain("[[effect]]\nname = \"gain\"\ngain_db = -120\n")}, spoken_);
  for (const float sample : silent.samples) ASSERT_LT(std::abs(sample), 1e-5);
}

}  // namespace
}  // namespace melisma
