// `melisma match batch`: folders of songs and of stems, one bad among them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "data/audio/loudness.h"
#include "tests/cli/audio_command.h"
#include "tests/cli/match_songs.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using testing::noise;
using Words = std::vector<std::string>;

class MatchBatchCommand : public testing::AudioCommand {
 protected:
  MatchBatchCommand() : AudioCommand("match") {}
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "in");
    write_audio(folder_ / "reference.wav", noise(2, 0.3F, 0.8F, 7));
  }
  [[nodiscard]] Waveform wave(const std::string& file) const { return read_audio(folder_ / file); }
  [[nodiscard]] double lufs(const std::string& file) const { return measure_loudness(wave(file)).integrated_lufs; }
};

// Every kind of recording that matching may meet, each with its fate: what can be used is, the rest is named.
TEST_F(MatchBatchCommand, EveryRecordingHasAFateAndOneBadStopsNothing) {
  const auto in = folder_ / "in";
  write_audio(in / "plain.wav", noise(2, 0.1F, 0.2F, 1));
  write_audio(in / "mono.wav", noise(2, 0.1F, 0.2F, 2, 44100, 1));
  write_audio(in / "rate.wav", noise(2, 0.1F, 0.2F, 3, 96000));
  write_audio(in / "long.flac", noise(9, 0.1F, 0.2F, 4));
  write_audio(in / "tenth.wav", noise(0.1, 0.1F, 0.2F, 5));
  auto clipped = noise(2, 0.2F, 0.2F, 6);
  for (std::size_t i = 0; i < 40; ++i) clipped.samples[i * 400] = i % 2 == 0 ? 1 : -1;
  write_audio(in / "clipped.wav", clipped, "wav32f");
  write_audio(in / "short.wav", noise(0.05, 0.1F, 0.2F, 8));
  write_audio(in / "silent.wav", noise(1, 0, 0.2F, 9));
  write_audio(in / "three.wav", noise(1, 0.1F, 0.2F, 10, 44100, 3));
  write_file_atomically(in / "text.wav", "no audio");
  auto nan = noise(1, 0.1F, 0.2F, 11);
  nan.samples[77] = 0.5F;
  write_audio(in / "nan.wav", nan, "wav32f");
  auto bytes = read_file(in / "nan.wav");
  const float half = 0.5F, no_number = NAN;
  bytes.replace(bytes.find(std::string(reinterpret_cast<const char*>(&half), 4)), 4,
                reinterpret_cast<const char*>(&no_number), 4);
  write_file_atomically(in / "nan.wav", bytes);
  {
    AudioWriter two_hours(in / "hours.wav", 1000, 1, audio_format_named("wav16"));
    const Waveform silence{std::vector<float>(600000), 1, 1000};
    for (int part = 0; part < 12; ++part) two_hours.write(silence);
    two_hours.finish();
  }
  const auto result = run({"batch", "in", "--reference", "reference.wav", "-o", "out", "--jobs", "2", "--json"});
  EXPECT_EQ(result.exit_code, 3) << result.err;
  std::map<std::string, nlohmann::json> row_of;
  for (const auto& row : nlohmann::json::parse(result.out)) {
    row_of[std::filesystem::path(row.at("input").get<std::string>()).filename().string()] = row;
  }
  ASSERT_EQ(row_of.size(), 12u);
  for (const auto* fine : {"plain.wav", "mono.wav", "rate.wav", "long.flac", "tenth.wav", "clipped.wav"}) {
    const auto& row = row_of.at(fine);
    EXPECT_EQ(row.at("fate"), "matched") << row.dump();
    const auto out = wave(row.at("output"));
    EXPECT_EQ(out.n_channels, 2);
    EXPECT_LE(measure_loudness(out).true_peak_db, -0.9) << fine;
    if (std::string(fine) != "tenth.wav") {
      EXPECT_NEAR(measure_loudness(out).integrated_lufs, lufs("reference.wav"), 0.2) << fine;
    }
  }
  EXPECT_EQ(wave("out/rate.wav").sample_rate_hz, 96000);
  EXPECT_THAT(row_of.at("mono.wav").at("remarks").dump(), HasSubstr("one channel"));
  EXPECT_THAT(row_of.at("clipped.wav").at("remarks").dump(), HasSubstr("is clipped"));
  EXPECT_THAT(row_of.at("tenth.wav").at("remarks").dump(), HasSubstr("too short or too quiet to be measured"));
  const auto failed = [&](const char* file, const char* reason) {
    EXPECT_EQ(row_of.at(file).at("fate"), "failed");
    EXPECT_THAT(row_of.at(file).at("reason").get<std::string>(), HasSubstr(reason));
    EXPECT_FALSE(exists(folder_ / "out" / file));
  };
  failed("short.wav", "2205 frames, expected 4096 or more");
  failed("silent.wav", "holds only silence");
  failed("three.wav", "3 channels, expected one or two");
  failed("text.wav", "text.wav");
  failed("nan.wav", "is not finite");
  failed("hours.wav", "2 h 00 min long, expected 15 min 00 s at most");
}

TEST_F(MatchBatchCommand, SaysHowManyWereMatched) {
  write_audio(folder_ / "in" / "a.wav", noise(1, 0.1F, 0.2F, 1));
  write_audio(folder_ / "in" / "b.wav", noise(1, 0.1F, 0.2F, 2));
  const auto fine = run({"batch", "in", "--reference", "reference.wav", "--exact", "-o", "out", "--memory", "1"});
  EXPECT_EQ(fine.exit_code, 0) << fine.err;
  EXPECT_THAT(fine.out, HasSubstr("2 of 2 files matched, 0 failed\n"));
  EXPECT_TRUE(exists(folder_ / "out" / "b.wav"));
}

class MatchStemsCommand : public MatchBatchCommand {
 protected:
  void SetUp() override {
    MatchBatchCommand::SetUp();
    for (const std::string song : {"first", "second"}) {
      std::filesystem::create_directories(folder_ / "in" / song);
      write_audio(folder_ / "in" / song / "vocals.wav", noise(2, 0.1F, 0.2F, song == "first" ? 1 : 3), "wav32f");
      write_audio(folder_ / "in" / song / "drums.wav", noise(1.5, 0.2F, 0.7F, song == "first" ? 2 : 4), "wav32f");
    }
  }
  [[nodiscard]] nlohmann::json batch(Words more, int exit_code = 0) const {
    Words words{"batch", "in", "--stems", "-o", "out", "--format", "wav32f", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    return nlohmann::json::parse(result.out);
  }
};

TEST_F(MatchStemsCommand, GainsMutesAndTheSumAreWhatTheySay) {
  // Nothing is matched: the vocals 6 dB up, the drums as they are, the sum 3 dB down.
  const Words kept{"--stem", "vocals=reference.wav", "--stem-mix", "vocals=0", "--master-gain", "-3"};
  auto loud = kept;
  loud.insert(loud.end(), {"--gain", "vocals=6"});
  const auto rows = batch(loud);
  EXPECT_EQ(rows[0]["stems"].dump(), R"([{"blend":1.0,"fate":"kept","gain_db":0.0,"stem":"drums"},)"
                                     R"({"blend":0.0,"fate":"kept","gain_db":6.0,"stem":"vocals"}])");
  const auto out = wave("out/first.wav"), vocals = wave("in/first/vocals.wav"), drums = wave("in/first/drums.wav");
  ASSERT_EQ(out.n_frames(), vocals.n_frames());
  const double gain = std::pow(10, 0.15), other = std::pow(10, -0.15);
  for (const std::size_t i : {100u, 30000u, 80000u}) {
    const double drum = i < static_cast<std::size_t>(drums.n_frames()) ? double{drums.channel(1)[i]} : 0;
    EXPECT_NEAR(out.channel(1)[i], gain * double{vocals.channel(1)[i]} + other * drum, 1e-6);
  }
  auto muted = kept;
  muted.insert(muted.end(), {"--mute", "drums"});
  EXPECT_EQ(batch(muted)[1]["stems"][0]["fate"], "muted");
  EXPECT_NEAR(wave("out/second.wav").channel(0)[5000], other * double{wave("in/second/vocals.wav").channel(0)[5000]},
              1e-6);
}

TEST_F(MatchStemsCommand, EachStemHasItsOwnReferenceAndTheSumALimiter) {
  write_audio(folder_ / "loud.wav", noise(2, 0.5F, 0.1F, 9));
  (void)batch({"--reference", "reference.wav", "--stem", "drums=loud.wav", "--mute", "vocals", "--no-master-limiter"});
  EXPECT_NEAR(lufs("out/first.wav"), lufs("loud.wav"), 0.2);
  const auto rows = batch({"--reference", "reference.wav", "--stem", "drums=loud.wav", "--master-gain", "6"});
  EXPECT_EQ(rows[0]["stems"][0]["fate"], "matched");
  EXPECT_GT(rows[0]["most_limited_db"], 1);
  EXPECT_NEAR(measure_loudness(wave("out/first.wav")).true_peak_db, -1, 0.11);
}

TEST_F(MatchStemsCommand, ASongWithABadStemFailsAndTheOthersDoNot) {
  write_file_atomically(folder_ / "in" / "first" / "bass.wav", "no audio");
  const auto rows = batch({"--reference", "reference.wav"}, 3);
  EXPECT_EQ(rows[0]["fate"], "failed");
  EXPECT_THAT(rows[0]["reason"].get<std::string>(), HasSubstr("bass.wav"));
  EXPECT_EQ(rows[1]["fate"], "matched");
  EXPECT_FALSE(exists(folder_ / "out" / "first.wav"));
  EXPECT_TRUE(exists(folder_ / "out" / "second.wav"));
}

TEST_F(MatchStemsCommand, RefusesCommandLinesThatCannotBeMeant) {
  const auto refused = [&](Words words, const std::string& message) {
    words.insert(words.begin(), {"batch", "in", "-o", "out"});
    expect_refusal(words, 2, "usage: " + message);
  };
  refused({}, "no sound is named; give --reference, --preset or, with --stems, --stem name=file");
  refused({"--reference", "reference.wav", "--gain", "vocals=3"},
          "--stem, --gain, --mute and --stem-mix are of songs in stems; give --stems");
  refused({"--stems", "--reference", "reference.wav", "--gain", "vocls=3"},
          "no song has a stem 'vocls'; there are: drums, vocals");
  refused({"--stems", "--reference", "reference.wav", "--gain", "vocals=loud"},
          "--gain takes a number from -60 to 24, found 'loud'");
  refused({"--stems", "--reference", "reference.wav", "--stem-mix", "vocals"},
          "--stem-mix takes name=value, found 'vocals'");
  expect_refusal({"batch", "reference.wav", "-o", "out", "--reference", "reference.wav"}, 2,
                 "usage: 'reference.wav' is a file; melisma match changes one recording");
}

}  // namespace
}  // namespace melisma
