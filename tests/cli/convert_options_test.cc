// What `melisma convert` does to the recording before the voice hears it, and to the sound after it, as people ask for
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "data/audio/loudness.h"
#include "data/audio/resample.h"
#include "tests/cli/tiny_voice.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

constexpr std::int64_t kRate = 16000;
constexpr std::int64_t kVoiceRate = 40000;

class ConvertOptionsCommand : public ::testing::Test {
 protected:
  void SetUp() override { write("in.wav", testing::pseudo_speech(1, 1.5, kRate)); }
  void write(const std::string& name, std::vector<float> samples) const {
    write_audio(folder_ / name, {std::move(samples), 1, kRate}, "wav32f");
  }
  testing::ProgramResult convert(const Words& more) const {
    Words all{"convert", testing::tiny_voice().string()};
    all.insert(all.end(), more.begin(), more.end());
    return testing::run_program(folder_.path(), all);
  }
  // in.wav converted with more options.
  Waveform made(Words more, const std::string& input = "in.wav") {
    more.insert(more.begin(), {input, "-o", "out.wav", "--format", "wav32f"});
    more.emplace_back("--json");
    const auto result = convert(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    row_ = nlohmann::json::parse(result.out)[0];
    return read_audio(folder_ / "out.wav");
  }
  void expect_refusal(Words more, const std::string& beginning) const {
    more.insert(more.begin(), {"in.wav", "-o", "out.wav"});
    const auto result = convert(more);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, StartsWith("melisma: " + beginning));
  }

  testing::TemporaryFolder folder_;
  nlohmann::json row_;
};

TEST_F(ConvertOptionsCommand, PitchIsHeardAsInTrainingOrAsAsked) {
  const auto own = made({});
  EXPECT_EQ(made({"--f0-method", "yin"}).samples, own.samples);
  EXPECT_NE(made({"--f0-method", "harvest"}).samples, own.samples);
  EXPECT_GT(row_["voiced_share"].get<double>(), 0.1);
  (void)made({"--f0-method", "harvest", "--f0-set", "fmax_hz=60"});
  EXPECT_LT(row_["voiced_share"].get<double>(), 0.05);
  const auto misspelt = convert({"in.wav", "-o", "out.wav", "--f0-method", "rmpve"});
  EXPECT_EQ(misspelt.exit_code, 2);
  EXPECT_THAT(misspelt.err, HasSubstr("did you mean 'rmvpe'?"));
  std::ofstream(folder_ / "f0.csv") << "time_s,f0_hz\n0,100\n1.5,100\n";
  expect_refusal({"--f0-file", "f0.csv", "--f0-method", "pm"},
                 "usage: --f0-file is the pitch; leave --f0-method and --f0-set out");
}

TEST_F(ConvertOptionsCommand, AMixOfSpeakersAndOneThatIsNoMix) {
  const auto mara = made({"--speaker", "mara"});
  EXPECT_EQ(made({"--speaker", "mara:1"}).samples, mara.samples);
  EXPECT_EQ(made({"--speaker", "1:0.3"}).samples, mara.samples);  // weights are made to add up to 1
  const auto half = made({"--speaker", "mara:0.7,joel:0.7"});
  EXPECT_NE(half.samples, mara.samples);
  EXPECT_EQ(made({"--speaker", "mara,joel"}).samples, half.samples);
  EXPECT_NE(made({"--speaker", "joel"}).samples, half.samples);
  expect_refusal({"--speaker", "mara:0.5,jole:0.5"}, "usage: unknown speaker 'jole'; did you mean 'joel'?");
  expect_refusal({"--speaker", "mara:-1,joel"},
                 "usage: 'mara:-1' gives no weight above 0; write name:weight, such as mara:0.7");
  expect_refusal({"--speaker", "mara:much"}, "usage: 'mara:much' gives no weight above 0");
  expect_refusal({"--speaker", "mara:1,5"}, "usage: there is no speaker '5'; the voice's speakers are numbered 0 to 1");
}

TEST_F(ConvertOptionsCommand, TheMixWithTheRecordingIsLinear) {
  const auto wet = made({}), dry = made({"--mix", "0"}), half = made({"--mix", "0.5"});
  ASSERT_EQ(half.samples.size(), wet.samples.size());
  for (std::size_t n = 0; n < wet.samples.size(); ++n) {
    ASSERT_NEAR(half.samples[n], 0.5 * (wet.samples[n] + dry.samples[n]), 1e-6) << n;
  }
  const auto again = resample(read_audio(folder_ / "in.wav"), kVoiceRate);
  EXPECT_EQ(dry.samples, again.samples);
  expect_refusal({"--mix", "1.5"}, "usage: --mix: Value 1.5 not in range");
}

TEST_F(ConvertOptionsCommand, MatchedLoudnessIsSaidAndMeasured) {
  const auto out = made({"--match-loudness"});
  const double wanted = measure_loudness(read_audio(folder_ / "in.wav")).integrated_lufs;
  EXPECT_NEAR(measure_loudness(out).integrated_lufs, wanted, 0.02);
  EXPECT_NEAR(row_["input_lufs"], wanted, 0.02);
  EXPECT_NE(row_["loudness_gain_db"], 0);
  EXPECT_THAT(convert({"in.wav", "-o", "again.wav", "--match-loudness"}).out, HasSubstr(" dB to the recording's -"));
  (void)made({});
  EXPECT_TRUE(row_["input_lufs"].is_null());
  write("blip.wav", std::vector<float>(1600, 0.1F));
  (void)made({"--match-loudness"}, "blip.wav");
  EXPECT_THAT(row_["remark"], HasSubstr("too quiet or too short to match its loudness"));
}

TEST_F(ConvertOptionsCommand, SplitAtSilenceConvertsThePiecesAtTheirPlaces) {
  auto samples = testing::pseudo_speech(1, 2, kRate);
  samples.resize(static_cast<std::size_t>(6 * kRate));  // two seconds of speech, four of silence, two of speech
  const auto more = testing::pseudo_speech(2, 2, kRate);
  samples.insert(samples.end(), more.begin(), more.end());
  write("long.wav", samples);
  const auto out = made({"--split"}, "long.wav");
  EXPECT_EQ(row_["pieces"], 2);
  ASSERT_EQ(out.n_frames(), 8 * kVoiceRate);
  const auto part = [&](double from_s, double to_s) {
    return std::span(out.samples)
        .subspan(static_cast<std::size_t>(from_s * kVoiceRate), static_cast<std::size_t>((to_s - from_s) * kVoiceRate));
  };
  const auto loudest = [](std::span<const float> wave) {
    float largest = 0;
    for (const float sample : wave) largest = std::max(largest, std::abs(sample));
    return largest;
  };
  EXPECT_GT(loudest(part(0, 2)), 1e-3F);
  EXPECT_GT(loudest(part(6, 8)), 1e-3F);
  EXPECT_EQ(loudest(part(3, 5)), 0);  // half a second of silence stays with each piece
  EXPECT_NE(loudest({made({}, "long.wav").samples.data() + 3 * kVoiceRate, 2 * kVoiceRate}), 0);
  // Without a silence there is nothing to split.
  const auto whole = made({});
  EXPECT_EQ(made({"--split"}).samples, whole.samples);
  EXPECT_EQ(row_["pieces"], 1);
}

TEST_F(ConvertOptionsCommand, CleanFormantAndVolumeEnvelopeChangeTheVoiceAndKeepItsLength) {
  const auto plain = made({});
  for (const Words& words : {Words{"--clean", "1"}, Words{"--formant", "1.2"}, Words{"--volume-envelope", "0"}}) {
    const auto other = made(words);
    EXPECT_EQ(other.n_frames(), plain.n_frames()) << words[0];
    EXPECT_NE(other.samples, plain.samples) << words[0];
  }
  EXPECT_EQ(made({"--clean", "0", "--formant", "1", "--volume-envelope", "1"}).samples, plain.samples);
  expect_refusal({"--clean", "2"}, "usage: --clean: Value 2 not in range");
  expect_refusal({"--formant", "0.1"}, "usage: --formant: Value 0.1 not in range");
  expect_refusal({"--volume-envelope", "-0.1"}, "usage: --volume-envelope: Value -0.1 not in range");
}

TEST_F(ConvertOptionsCommand, EffectsAreAppliedToTheOutput) {
  write_file_atomically(folder_ / "chain.toml", "[[effect]]\nname = \"gain\"\ngain_db = -6.0206\n");
  const auto plain = made({}), quieter = made({"--effects", "chain.toml"});
  ASSERT_EQ(quieter.samples.size(), plain.samples.size());
  for (std::size_t n = 0; n < plain.samples.size(); ++n) ASSERT_NEAR(quieter.samples[n], plain.samples[n] / 2, 1e-6);
  expect_refusal({"--effects", "none.toml"}, "config: no settings file 'none.toml'");
  write_file_atomically(folder_ / "high.toml", "[[effect]]\nname = \"low-pass\"\nfrequency_hz = 20000\n");
  expect_refusal(
      {"--effects", "high.toml"},
      "config: the corner of 20000 Hz is not below half the sample rate, 20000 Hz (while making effect 1 of");
}

TEST_F(ConvertOptionsCommand, EverythingAtOnceIsTheSameInAnyChunks) {
  write_file_atomically(
      folder_ / "chain.toml",
      "[[effect]]\nname = \"compressor\"\n[[effect]]\nname = \"reverb\"\n[[effect]]\nname = \"limiter\"\n");
  const Words all{"--clean",   "0.5",           "--split",       "--formant", "1.1",        "--volume-envelope",
                  "0.5",       "--mix",         "0.8",           "--effects", "chain.toml", "--match-loudness",
                  "--speaker", "mara:2,joel:1", "--sample-rate", "44100"};
  auto chunked = all;
  chunked.insert(chunked.end(), {"--chunk", "1"});
  const auto whole = made(all), pieces = made(chunked);
  ASSERT_EQ(whole.n_frames(), 66150);
  ASSERT_EQ(pieces.n_frames(), whole.n_frames());
  for (std::size_t n = 0; n < whole.samples.size(); ++n) ASSERT_NEAR(pieces.samples[n], whole.samples[n], 2e-4) << n;
}

}  // namespace
}  // namespace melisma
