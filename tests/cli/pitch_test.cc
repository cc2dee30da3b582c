// `melisma pitch` as people run it, and conversions that follow its curves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/tiny_voice.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::ProgramResult;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

constexpr std::int64_t kRate = 16000;

class PitchCommand : public ::testing::Test {
 protected:
  // Ten harmonics of a steady pitch.
  void write_tone(const std::string& name, double hz, double seconds = 1) const {
    fs::create_directories((folder_ / name).parent_path());
    std::vector<float> samples(static_cast<std::size_t>(seconds * kRate));
    for (std::size_t n = 0; n < samples.size(); ++n) {
      const auto phase = 2 * M_PI * hz * static_cast<double>(n) / kRate;
      double sum = 0;
      for (int h = 1; h <= 10; ++h) sum += std::sin(h * phase) / h;
      samples[n] = static_cast<float>(0.2 * sum);
    }
    write_audio(folder_ / name, {std::move(samples), 1, kRate}, "wav16");
  }
  // A curve of 10 ms a point with the header.
  void write_curve(const std::string& name, const std::vector<float>& f0_hz) const {
    std::ofstream file(folder_ / name);
    file << "time_s,f0_hz\n";
    for (std::size_t t = 0; t < f0_hz.size(); ++t) file << static_cast<double>(t) / 100 << ',' << f0_hz[t] << '\n';
  }
  ProgramResult run(Words words) const { return testing::run_program(folder_.path(), words); }
  ProgramResult pitch(Words more) const {
    more.insert(more.begin(), "pitch");
    return run(more);
  }
  nlohmann::json rows(Words more) const {
    more.emplace_back("--json");
    const auto result = pitch(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }
  void expect_refusal(const Words& more, int exit_code, const std::string& begin) const {
    const auto result = pitch(more);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(result.err, StartsWith("melisma: " + begin));
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(fs::exists(folder_ / "out.csv"));
  }
  // The Hz column.
  std::vector<double> column(const std::string& name) const {
    std::ifstream file(folder_ / name);
    std::string line;
    std::getline(file, line);
    EXPECT_EQ(line, "time_s,f0_hz");
    std::vector<double> hz;
    while (std::getline(file, line)) hz.push_back(std::stod(line.substr(line.find(',') + 1)));
    return hz;
  }
  ProgramResult convert(const Words& more) const {
    Words words{"convert", testing::tiny_voice().string()};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  std::string converted(const std::string& output, Words more) const {
    more.insert(more.end(), {"-o", output});
    const auto result = convert(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_file(folder_ / output);
  }
  testing::TemporaryFolder folder_;
};

TEST_F(PitchCommand, WritesACurveThatItReadsBackUnchanged) {
  write_tone("in.wav", 220);
  const auto heard = pitch({"in.wav", "-o", "curve.csv"});
  ASSERT_EQ(heard.exit_code, 0) << heard.err;
  EXPECT_THAT(heard.out, MatchesRegex("curve\\.csv: 0\\.99 s, voiced [0-9]+ %, median 220\\.[0-9] Hz, range [0-9.]+ to "
                                      "[0-9.]+ Hz, octave jumps 0\n"));
  const auto hz = column("curve.csv");
  ASSERT_EQ(hz.size(), 100U);
  for (std::size_t t = 10; t < 90; ++t) EXPECT_NEAR(hz[t], 220, 0.3) << t;
  ASSERT_EQ(pitch({"curve.csv", "-o", "again.csv"}).exit_code, 0);
  EXPECT_EQ(read_file(folder_ / "curve.csv"), read_file(folder_ / "again.csv"));
}

TEST_F(PitchCommand, EveryClassicalMethodAndSeveralTogetherHearTheTone) {
  write_tone("in.wav", 180);
  for (const auto* method : {"pyin", "yin", "harvest", "dio", "pm", "median(pyin, dio, pm)"}) {
    const auto row = rows({"in.wav", "--method", method})[0];
    EXPECT_EQ(row["method"], method);
    EXPECT_EQ(row["frames"], 100);
    EXPECT_GT(row["voiced_share"], 0.8) << method;
    EXPECT_NEAR(row["median_hz"], 180, 0.1) << method;
  }
}

TEST_F(PitchCommand, WithoutAnOutputItOnlySumsUp) {
  write_tone("in.wav", 300, 0.5);
  const auto result = pitch({"in.wav"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("in.wav: 0.49 s, voiced "));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 3) << "the recording and what the program said";
}

TEST_F(PitchCommand, EditsACurve) {
  std::vector<float> f0(100, 200);
  std::fill(f0.begin() + 20, f0.begin() + 28, 400.F);  // an octave error
  std::fill(f0.begin() + 60, f0.begin() + 64, 0.F);
  f0[90] = 215;
  write_curve("in.csv", f0);
  const auto result =
      pitch({"in.csv", "-o", "out.csv", "--repair-octaves", "--smooth", "3", "--transpose", "12", "--fill"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "out.csv: 0.99 s, voiced 100 %, median 400.0 Hz, range 400.0 to 400.0 Hz, octave jumps 0; moved by +12 "
            "semitones; 8 frames repaired\n");
  const auto edited = column("out.csv");
  for (std::size_t t = 1; t + 1 < edited.size(); ++t) EXPECT_EQ(edited[t], 400) << t;
}

TEST_F(PitchCommand, TunesToAScaleByAsMuchAsAsked) {
  write_curve("in.csv", {0, 430, 455, 0, 100});
  ASSERT_EQ(pitch({"in.csv", "-o", "full.csv", "--autotune", "A minor-pentatonic"}).exit_code, 0);
  const auto full = column("full.csv");
  EXPECT_EQ(full[0], 0);
  EXPECT_EQ(full[1], 440);
  EXPECT_EQ(full[2], 440);  // B flat is not of the scale, and C farther away
  EXPECT_EQ(full[3], 0);
  EXPECT_NEAR(full[4], 97.9989, 1e-3);
  ASSERT_EQ(pitch({"in.csv", "-o", "half.csv", "--autotune", "A minor-pentatonic", "--strength", "0.5"}).exit_code, 0);
  EXPECT_EQ(column("half.csv")[1], 435);
}

TEST_F(PitchCommand, JsonSaysWhatTheCurveIsLike) {
  std::vector<float> f0(200, 0);
  std::fill(f0.begin(), f0.begin() + 50, 100.F);
  std::fill(f0.begin() + 50, f0.begin() + 100, 200.F);  // half a second: sung
  write_curve("in.csv", f0);
  const auto row = rows({"in.csv", "-o", "out.csv", "--proposed-pitch", "255", "--repair-octaves"})[0];
  EXPECT_EQ(row["input"], "in.csv");
  EXPECT_EQ(row["output"], "out.csv");
  EXPECT_EQ(row["fate"], "read");
  EXPECT_EQ(row["method"], "file");
  EXPECT_EQ(row["frames"], 200);
  EXPECT_EQ(row["voiced_share"], 0.5);
  EXPECT_EQ(row["octave_jumps"], 1);
  EXPECT_EQ(row["repaired_frames"], 0);
  EXPECT_EQ(row["semitones"], 4);  // the median with the gap filled is 200 Hz: 12 log2(255 / 200) = 4.2
  EXPECT_NEAR(row["high_hz"], 252, 0.1);
}

TEST_F(PitchCommand, OfAFolderEveryRecordingGetsACurve) {
  write_tone("in/a.wav", 150, 0.3);
  write_tone("in/deeper/b.wav", 250, 0.3);
  std::ofstream(folder_ / "in/broken.wav") << "no audio";
  const auto result = pitch({"in", "-o", "out"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.out, HasSubstr("in/broken.wav: failed: cannot read 'in/broken.wav'"));
  EXPECT_THAT(result.out, EndsWith("2 of 3 files read, 1 failed\n"));
  EXPECT_NEAR(column("out/a.csv")[15], 150, 1);
  EXPECT_NEAR(column("out/deeper/b.csv")[15], 250, 1);
  EXPECT_FALSE(fs::exists(folder_ / "out/broken.csv"));
}

TEST_F(PitchCommand, MistakesAreRefusedInOneLine) {
  write_tone("in.wav", 200, 0.2);
  expect_refusal({"in.wav", "-o", "out.csv", "--method", "harvst"}, 2,
                 "config: --set method=harvst: 'method' has an unknown pitch method 'harvst'; did you mean 'harvest'?");
  expect_refusal({"in.wav", "-o", "out.csv", "--set", "fmin=3"}, 2, "config: --set fmin=3: ");
  expect_refusal({"in.wav", "-o", "out.csv", "--smooth", "4"}, 2, "usage: smoothing over 4 frames is not possible");
  expect_refusal({"in.wav", "-o", "out.csv", "--transpose", "60"}, 2, "usage: a transposition by 60 semitones");
  expect_refusal({"in.wav", "-o", "out.csv", "--autotune", "C mayor"}, 2, "usage: unknown mode of a scale 'mayor'");
  expect_refusal({"in.wav", "-o", "out.csv", "--strength", "2"}, 2, "usage: an autotune strength of 2");
  expect_refusal({"in.wav", "-o", "out.csv", "--proposed-pitch", "5"}, 2, "usage: a voice around 5 Hz");
  expect_refusal({"none.wav", "-o", "out.csv"}, 3, "data: there is no file or folder 'none.wav'");
  expect_refusal({"in.wav", "-o", "in.wav"}, 2, "usage: 'in.wav' is the recording itself");
  expect_refusal({"in.wav", "-o", "missing/out.csv"}, 5, "device: ");
  fs::create_directories(folder_ / "folder");
  expect_refusal({"in.wav", "-o", "folder"}, 2, "usage: 'folder' is a folder; name the file to write");
  expect_refusal({"folder"}, 3, "data: 'folder' holds no recordings");
  std::ofstream(folder_ / "bad.csv") << "time_s,f0_hz\n0,200\n0.01,loud\n";
  expect_refusal(
      {"bad.csv", "-o", "out.csv"}, 3,
      "data: pitch curve 'bad.csv', line 3: found '0.01,loud', which is not two numbers; expected seconds,Hz "
      "such as 0.01,220\n");
}

TEST_F(PitchCommand, AConversionFollowsTheCurve) {
  write_audio(folder_ / "in.wav", {testing::pseudo_speech(5, 2.0, kRate), 1, kRate}, "wav16");
  ASSERT_EQ(pitch({"in.wav", "--method", "yin", "-o", "curve.csv"}).exit_code, 0);  // as the voice hears it
  ASSERT_EQ(pitch({"curve.csv", "--transpose", "5", "-o", "higher.csv"}).exit_code, 0);
  ASSERT_EQ(pitch({"curve.csv", "--autotune", "C major", "-o", "tuned.csv"}).exit_code, 0);
  const auto plain = converted("plain.wav", {"in.wav"});
  EXPECT_EQ(converted("same.wav", {"in.wav", "--f0-file", "curve.csv"}), plain);
  const auto higher = converted("higher.wav", {"in.wav", "--pitch", "5"});
  EXPECT_NE(higher, plain);
  EXPECT_EQ(converted("followed.wav", {"in.wav", "--f0-file", "higher.csv"}), higher);
  EXPECT_EQ(converted("tuned.wav", {"in.wav", "--f0-file", "tuned.csv"}),
            converted("tuning.wav", {"in.wav", "--autotune", "C major"}));
}

TEST_F(PitchCommand, AConversionSaysByHowMuchItMovedThePitch) {
  write_tone("in.wav", 110);
  const auto result = convert({"in.wav", "-o", "out.wav", "--proposed-pitch", "155", "--pitch", "1", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out)[0]["semitones"], 7);
}

TEST_F(PitchCommand, ACurveKeepsItsUnvoicedFramesInAConversion) {
  write_tone("in.wav", 200);
  write_curve("silent.csv", std::vector<float>(100, 0));
  const auto result = convert({"in.wav", "-o", "out.wav", "--f0-file", "silent.csv", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto row = nlohmann::json::parse(result.out)[0];
  EXPECT_EQ(row["voiced_share"], 0);
  EXPECT_EQ(row["remark"], "no voiced frame was found: the result is breath and noise");
}

TEST_F(PitchCommand, ACurveOfAnotherRecordingIsRefusedAndANearOneRemarked) {
  write_tone("in.wav", 200, 2);
  write_curve("short.csv", std::vector<float>(100, 200));
  const auto refused = convert({"in.wav", "-o", "out.wav", "--f0-file", "short.csv"});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_EQ(refused.err,
            "melisma: data: the pitch curve 'short.csv' ends at 0.99 s, but the recording at 2.00 s; give the curve of "
            "this recording (melisma pitch makes one)\n");
  EXPECT_FALSE(fs::exists(folder_ / "out.wav"));
  write_curve("near.csv", std::vector<float>(180, 200));
  const auto near = convert({"in.wav", "-o", "out.wav", "--f0-file", "near.csv"});
  ASSERT_EQ(near.exit_code, 0) << near.err;
  EXPECT_THAT(near.out, HasSubstr("; the pitch curve ends at 1.79 s, the recording at 2.00 s"));
  const auto absent = convert({"in.wav", "-o", "other.wav", "--f0-file", "none.csv"});
  EXPECT_EQ(absent.exit_code, 3);
  EXPECT_EQ(absent.err, "melisma: data: there is no pitch curve 'none.csv'; melisma pitch makes one\n");
}

TEST_F(PitchCommand, AFolderOfRecordingsFollowsAFolderOfCurves) {
  write_tone("in/a.wav", 150, 0.5);
  write_tone("in/deeper/b.wav", 250, 0.5);
  ASSERT_EQ(pitch({"in", "-o", "curves", "--method", "yin", "--transpose", "-12"}).exit_code, 0);
  const auto result = convert({"in", "-o", "out", "--f0-file", "curves", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto report = nlohmann::json::parse(result.out);
  EXPECT_NEAR(report[0]["median_f0_hz"], 75, 1);
  EXPECT_NEAR(report[1]["median_f0_hz"], 125, 1);
  fs::remove(folder_ / "curves/a.csv");
  const auto lacking = convert({"in", "-o", "out", "--f0-file", "curves"});
  EXPECT_EQ(lacking.exit_code, 3);
  EXPECT_THAT(lacking.out, HasSubstr("in/a.wav: failed: cannot read 'curves/a.csv'"));
  const auto mixed = convert({"in", "-o", "out", "--f0-file", "curves/deeper/b.csv"});
  EXPECT_EQ(mixed.exit_code, 2);
  EXPECT_THAT(mixed.err, HasSubstr("--f0-file 'curves/deeper/b.csv' is a file, but 'in' is a folder"));
}

}  // namespace
}  // namespace melisma
