// `melisma match` as people run it, and every way it can be refused.
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
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using Words = std::vector<std::string>;

using testing::noise;
constexpr auto kRate = testing::kSongRate;

double rms_of(const Waveform& wave) {
  double sum = 0;
  for (const float sample : wave.samples) sum += double{sample} * sample;
  return std::sqrt(sum / static_cast<double>(wave.samples.size()));
}

class MatchCommand : public testing::AudioCommand {
 protected:
  MatchCommand() : AudioCommand("match") {}
  void SetUp() override {
    write_audio(folder_ / "song.wav", noise(3, 0.1F, 0.2F, 1));
    write_audio(folder_ / "reference.wav", noise(2, 0.9F, 0.8F, 7));
  }
};

TEST_F(MatchCommand, GivesTheLevelOfTheReference) {
  const auto result = run({"song.wav", "--reference", "reference.wav", "--exact", "-o", "out.wav"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, MatchesRegex("out\\.wav: limited, 3\\.00 s in [0-9.]+ s \\([0-9]+x real time\\), peak "
                                       "-[0-9.]+ dB\n  level .*\n  (limiter: .*|the limiter had nothing to do)\n"));
  const auto out = read_audio(folder_ / "out.wav");
  EXPECT_EQ(out.n_frames(), 3 * kRate);
  EXPECT_EQ(out.n_channels, 2);
  const auto reference = read_audio(folder_ / "reference.wav");
  EXPECT_NEAR(20 * std::log10(rms_of(out) / rms_of(reference)), 0, 0.3);
}

TEST_F(MatchCommand, WritesEveryFinishFormatAndPreviewInOneGo) {
  const auto result =
      run({"song.wav", "--reference", "reference.wav", "--exact", "-o", "a.wav", "-o", "b.flac", "--unlimited", "c.wav",
           "--normalised", "d.wav", "--preview-target", "before.wav", "--preview-result", "after.wav", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto report = nlohmann::json::parse(result.out);
  ASSERT_EQ(report.at("outputs").size(), 4u);
  EXPECT_EQ(report["outputs"][1]["finish"], "limited");
  EXPECT_EQ(report["outputs"][3]["finish"], "normalised");
  EXPECT_NEAR(report["outputs"][3]["peak"], 0.998138427734375, 1e-6);
  EXPECT_EQ(report.at("target").at("pieces"), 1);
  EXPECT_EQ(report.at("corrections").size(), 4u);
  EXPECT_TRUE(report.at("remarks").empty());
  const auto song = read_audio(folder_ / "song.wav"), before = read_audio(folder_ / "before.wav");
  EXPECT_EQ(before.samples, song.samples);
  EXPECT_EQ(read_audio(folder_ / "after.wav").samples, read_audio(folder_ / "a.wav").samples);
  EXPECT_EQ(read_audio(folder_ / "b.flac").n_frames(), 3 * kRate);
}

// What people get without asking for anything: the loudness of the reference under a true peak of -1 dB.
TEST_F(MatchCommand, IsAsLoudAsTheReferenceUnderACeiling) {
  write_audio(folder_ / "loud.wav", noise(3, 0.55F, 0.1F, 8));
  const auto result = run({"song.wav", "--reference", "loud.wav", "-o", "out.wav", "--explain"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, MatchesRegex("out\\.wav: limited, 3\\.00 s in [0-9.]+ s \\([0-9]+x real time\\), peak "
                                       "-[0-9.]+ dB\n  loudness .* dBTP\n  limiter: .* dB down\n(.|\n)*"));
  EXPECT_THAT(result.out, HasSubstr("LUFS"));
  EXPECT_THAT(result.out, HasSubstr("What the filter did"));
  const auto out = measure_loudness(read_audio(folder_ / "out.wav"));
  EXPECT_NEAR(out.integrated_lufs, measure_loudness(read_audio(folder_ / "loud.wav")).integrated_lufs, 0.2);
  EXPECT_NEAR(out.true_peak_db, -1, 0.1);
}

TEST_F(MatchCommand, WithoutALimiterItIsAsLoudAsItsPeaksMayBe) {
  write_audio(folder_ / "loud.wav", noise(3, 0.55F, 0.1F, 8));
  const auto result = run({"song.wav", "--reference", "loud.wav", "--unlimited", "out.wav", "--normalised", "peak.wav",
                           "--format", "wav32f", "--explain"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("No limiter was asked for"));
  const auto lufs = [&](const char* file) { return measure_loudness(read_audio(folder_ / file)).integrated_lufs; };
  EXPECT_NEAR(lufs("out.wav"), lufs("loud.wav"), 0.05);
  EXPECT_NEAR(measure_loudness(read_audio(folder_ / "peak.wav")).true_peak_db, -1, 0.1);
}

TEST_F(MatchCommand, MatchesOneSideOfTheSoundByOptionsAndSettings) {
  write_file_atomically(folder_ / "settings.toml", "[improved]\nceiling_dbtp = -6.0\n");
  const auto result = run({"song.wav", "--reference", "reference.wav", "--only", "width", "--low", "200", "--config",
                           "settings.toml", "--set", "improved.max_boost_db=3", "-o", "out.wav", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto report = nlohmann::json::parse(result.out);
  EXPECT_EQ(report.at("mode"), "improved");
  const auto& improved = report.at("improved");
  EXPECT_NEAR(improved["after"]["lufs"], improved["before"]["lufs"].get<double>(), 0.2);
  EXPECT_LE(improved["after"]["true_peak_db"], -6);
  EXPECT_TRUE(improved.at("is_loudness_met"));
}

TEST_F(MatchCommand, SeveralReferencesCountByTheirWeights) {
  write_audio(folder_ / "other.wav", noise(4, 0.1F, 0.9F, 9));
  const auto result =
      run({"song.wav", "--reference", "reference.wav=3", "--reference", "other.wav", "-o", "out.wav", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto lufs = [&](const char* file) { return measure_loudness(read_audio(folder_ / file)).integrated_lufs; };
  EXPECT_NEAR(nlohmann::json::parse(result.out)["improved"]["wanted_lufs"],
              0.75 * lufs("reference.wav") + 0.25 * lufs("other.wav"), 0.01);
}

TEST_F(MatchCommand, KeepsTheTargetsRate) {
  write_audio(folder_ / "song48.wav", noise(3, 0.1F, 0.2F, 1, 48000));
  ASSERT_EQ(run({"song48.wav", "--reference", "reference.wav", "-o", "out.wav"}).exit_code, 0);
  EXPECT_EQ(read_audio(folder_ / "out.wav").sample_rate_hz, 48000);
}

TEST_F(MatchCommand, ExplainsWhatItChanged) {
  const auto result = run({"song.wav", "--reference", "reference.wav", "--exact", "-o", "out.wav", "--explain"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("Pieces of the target"));
  EXPECT_THAT(result.out, HasSubstr("mid dB"));
  EXPECT_THAT(result.out, MatchesRegex("(.|\n)*\n +1000 +-?[0-9.]+ +-?[0-9.]+ .*[|](.|\n)*"));
}

TEST_F(MatchCommand, SaysWhatItFoundInOddRecordings) {
  auto clipped = noise(1, 0.2F, 0.2F, 3, 48000, 1);
  for (std::size_t i = 0; i < 20; ++i) clipped.samples[i * 400] = 1;
  write_audio(folder_ / "odd.wav", clipped);
  const auto resampled = run({"odd.wav", "--reference", "reference.wav", "--exact", "-o", "out.wav"});
  ASSERT_EQ(resampled.exit_code, 0) << resampled.err;
  EXPECT_THAT(resampled.out, HasSubstr("  the target has one channel: both channels of the result begin as it\n"));
  EXPECT_THAT(resampled.out, HasSubstr("  warning: the target was resampled\n"));
  auto loud = noise(1, 0.2F, 0.2F, 3);
  for (std::size_t i = 0; i < 20; ++i) loud.samples[i * 400] = i % 2 == 0 ? 1 : -1;
  write_audio(folder_ / "loud.wav", loud, "wav32f");
  EXPECT_THAT(run({"loud.wav", "--reference", "reference.wav", "-o", "out.wav"}).out,
              HasSubstr("  warning: the target is clipped; better take it before it was\n"));
  write_audio(folder_ / "mono.wav", noise(0.1, 0.5F, 0.5F, 9, 22050, 1));
  EXPECT_THAT(run({"song.wav", "--reference", "mono.wav", "-o", "out.wav"}).out,
              HasSubstr("the reference has one channel: the result will have no side"));
}

TEST_F(MatchCommand, RefusesRecordingsThatCannotBeMatched) {
  const Words rest{"--reference", "reference.wav", "-o", "out.wav"};
  const auto refused = [&](const std::string& target, const std::string& message) {
    Words all{target};
    all.insert(all.end(), rest.begin(), rest.end());
    expect_refusal(all, 3, "data: " + message);
  };
  write_audio(folder_ / "silent.wav", noise(1, 0, 0.2F, 1));
  refused("silent.wav",
          "holds only silence: there is no level to match; take another recording (while matching 'silent.wav')");
  expect_refusal({"song.wav", "--reference", "silent.wav", "-o", "out.wav"}, 3,
                 "data: holds only silence: there is no level to match; take another recording (while analysing "
                 "'silent.wav')");
  write_audio(folder_ / "short.wav", noise(0.09, 0.1F, 0.2F, 1));
  refused("short.wav",
          "3969 frames, expected 4096 or more; take a longer part (code 4003) (while reading 'short.wav')");
  write_audio(folder_ / "three.wav", noise(1, 0.1F, 0.2F, 1, kRate, 3));
  refused("three.wav", "3 channels, expected one or two; mix them down first (code 4004) (while reading 'three.wav')");
  Waveform broken{std::vector<float>(20000), 2, kRate};
  broken.samples[123] = 0.5F;
  {
    AudioWriter writer(folder_ / "nan.wav", kRate, 2, audio_format_named("wav32f"));
    writer.write(broken);
    writer.finish();
  }
  auto bytes = read_file(folder_ / "nan.wav");
  const float half = 0.5F, nan = NAN;
  const auto at = bytes.find(std::string(reinterpret_cast<const char*>(&half), 4));
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 4, reinterpret_cast<const char*>(&nan), 4);
  write_file_atomically(folder_ / "nan.wav", bytes);
  refused("nan.wav",
          "sample 123 of channel 0 is not finite; repair the recording or cut that part out (while reading 'nan.wav')");
  refused("reference.wav",
          "'reference.wav' and 'reference.wav' hold the same recording; name another reference (code 4005)");
}

// Two hours by its header: refused before anything of it is read.
TEST_F(MatchCommand, RefusesTwoHoursAtOnce) {
  constexpr std::int64_t kSeconds = 7200, kSlowRate = 1000;
  AudioWriter writer(folder_ / "long.wav", kSlowRate, 1, audio_format_named("wav16"));
  const Waveform silence{std::vector<float>(600 * kSlowRate), 1, kSlowRate};
  for (int part = 0; part < kSeconds / 600; ++part) writer.write(silence);
  writer.finish();
  expect_refusal({"long.wav", "--reference", "reference.wav", "-o", "out.wav"}, 3,
                 "data: 2 h 00 min long, expected 15 min 00 s at most; match a part of it, or raise "
                 "matching.max_seconds (code 4002) (while reading "
                 "'long.wav')");
}

TEST_F(MatchCommand, RefusesCommandLinesThatCannotBeMeant) {
  expect_refusal({"song.wav", "--reference", "reference.wav"}, 2,
                 "usage: no output is named; give -o, --unlimited or --normalised, each as often as you like");
  expect_refusal({"song.wav", "--reference", "reference.wav", "-o", "song.wav"}, 2,
                 "usage: 'song.wav' is one of the recordings; name another output");
  expect_refusal({"song.wav", "--reference", "reference.wav=0", "-o", "out.wav"}, 2,
                 "usage: 'reference.wav=0' gives no weight above 0; write file=weight, such as song.wav=2");
  expect_refusal({"song.wav", "--reference", "reference.wav", "--exact", "--mix", "0.5", "-o", "out.wav"}, 2,
                 "usage: --only, --ceiling, --mix, --low and --high are of mode improved; leave --exact or them out");
  expect_refusal({"song.wav", "--reference", "reference.wav", "--reference", "song.wav", "--exact", "-o", "out.wav"}, 2,
                 "usage: mode exact takes one reference, as Matchering does; several go together in mode improved");
  expect_refusal({"song.wav", "--reference", "reference.wav", "--set", "matching.fft_size=3000", "-o", "out.wav"}, 2,
                 "config: fft_size 3000 is no power of two; take 2048 or 4096");
  expect_refusal({"song.wav", "-o", "out.wav"}, 2,
                 "usage: --reference or --preset is required; see melisma match --help");
  expect_refusal({"song.wav", "--reference", "reference.wav", "-o", "."}, 2,
                 "usage: cannot tell the audio format of '.' from its extension; known: .wav .flac .ogg");
  const auto missing = run({"none.wav", "--reference", "reference.wav", "-o", "out.wav"});
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.err, HasSubstr("none.wav"));
  write_file_atomically(folder_ / "text.wav", "no audio");
  const auto unreadable = run({"song.wav", "--reference", "text.wav", "-o", "out.wav"});
  EXPECT_EQ(unreadable.exit_code, 3);
  EXPECT_THAT(unreadable.err, HasSubstr("text.wav"));
}

}  // namespace
}  // namespace melisma
