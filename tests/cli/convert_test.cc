// `melisma convert` as people run it: recordings of every kind and length, folders, chunks, rumble.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "tests/cli/tiny_voice.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::ProgramResult;
using testing::ProgramRun;
using Words = std::vector<std::string>;

constexpr std::int64_t kRate = 16000;
constexpr std::int64_t kVoiceRate = 40000;

class ConvertCommand : public ::testing::Test {
 protected:
  void write(const std::string& name, std::vector<float> samples, std::int64_t rate_hz = kRate) const {
    fs::create_directories((folder_ / name).parent_path());
    write_audio(folder_ / name, {std::move(samples), 1, rate_hz}, "wav16");
  }
  static std::vector<float> tone(double seconds, double frequency_hz = 200) {
    std::vector<float> samples(static_cast<std::size_t>(seconds * kRate));
    for (std::size_t n = 0; n < samples.size(); ++n) {
      samples[n] = 0.3F * static_cast<float>(std::sin(2 * M_PI * frequency_hz * static_cast<double>(n) / kRate));
    }
    return samples;
  }
  static std::vector<float> noise(double seconds) {
    testing::Lcg random(7);
    std::vector<float> samples(static_cast<std::size_t>(seconds * kRate));
    for (auto& sample : samples) sample = 0.2F * static_cast<float>(random.next());
    return samples;
  }
  static Words words(const Words& more) {
    Words all{"convert", testing::tiny_voice().string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  ProgramResult convert(const Words& more) const { return testing::run_program(folder_.path(), words(more)); }
  // The rows of --json.
  nlohmann::json converted(Words more) const {
    more.emplace_back("--json");
    const auto result = convert(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }
  Waveform made(const std::string& name) const { return read_audio(folder_ / name); }

  testing::TemporaryFolder folder_;
};

double largest_difference(const Waveform& a, const Waveform& b) {
  EXPECT_EQ(a.samples.size(), b.samples.size());
  double largest = 0;
  for (std::size_t n = 0; n < std::min(a.samples.size(), b.samples.size()); ++n) {
    largest = std::max(largest, std::abs(static_cast<double>(a.samples[n]) - static_cast<double>(b.samples[n])));
  }
  return largest;
}

// As GPUs do; two voices on the CPU are the same to the command.
TEST_F(ConvertCommand, SeveralDevicesShareAFolderAndMakeTheFilesOfOne) {
  for (int i = 0; i < 5; ++i) write(fmt::format("in/{}.wav", i), tone(0.4 + 0.1 * i, 150 + 20 * i));
  write_file_atomically(folder_ / "in/broken.wav", "no sound");
  std::vector<nlohmann::json> reports;
  for (const auto* devices : {"cpu", "cpu,cpu"}) {
    const auto out = std::string("out of ") + devices;
    const auto result = convert({"in", "-o", out, "--device", devices, "--json"});
    EXPECT_EQ(result.exit_code, 3) << result.err;
    reports.push_back(nlohmann::json::parse(result.out));
    EXPECT_EQ(result.err.find("device  CPU") != std::string::npos, std::string(devices) == "cpu,cpu") << result.err;
  }
  ASSERT_EQ(reports[0].size(), 6u);
  ASSERT_EQ(reports[1].size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) {  // in the recordings' order, whoever was ready first
    EXPECT_EQ(reports[1][i]["input"], reports[0][i]["input"]);
    EXPECT_EQ(reports[1][i]["fate"], reports[0][i]["fate"]);
    if (reports[0][i]["fate"] == "failed") continue;
    EXPECT_EQ(reports[0][i]["device"], "cpu");
    EXPECT_EQ(read_file(folder_ / reports[0][i]["output"].get<std::string>()),
              read_file(folder_ / reports[1][i]["output"].get<std::string>()))
        << i;
  }
}

TEST_F(ConvertCommand, ADeviceThatCannotBeUsedIsRefusedBeforeAnythingIsMade) {
  ::setenv("CUDA_VISIBLE_DEVICES", "", 1);  // as for all tests of the CPU
  write("in.wav", tone(0.5));
  const auto result = convert({"in.wav", "-o", "out.wav", "--device", "cuda"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err, HasSubstr("melisma: device: the device 'cuda' cannot be used"));
  EXPECT_FALSE(fs::exists(folder_ / "out.wav"));
  EXPECT_EQ(convert({"in.wav", "-o", "out.wav", "--device", "gpu"}).exit_code, 2);
}

TEST_F(ConvertCommand, MakesAFileOfTheSameLengthInTheVoice) {
  Waveform stereo{.samples = tone(2), .n_channels = 2, .sample_rate_hz = kRate};  // a second a channel
  write_audio(folder_ / "in.wav", stereo, "wav24");
  const auto result = convert({"in.wav", "-o", "out.wav", "--speaker", "mara", "--pitch", "-3"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, MatchesRegex("out\\.wav: 1\\.00 s of audio in [0-9.]+ s \\([0-9.]+x real time\\), voiced "
                                       "[0-9]+ %, peak [0-9.]+\n"));
  const auto wave = made("out.wav");
  EXPECT_EQ(wave.n_channels, 1);
  EXPECT_EQ(wave.sample_rate_hz, kVoiceRate);
  EXPECT_EQ(wave.n_frames(), kVoiceRate);
  EXPECT_GT(*std::max_element(wave.samples.begin(), wave.samples.end()), 0.001F);
}

TEST_F(ConvertCommand, JsonSaysWhatBecameOfEachRecording) {
  write("in/a.wav", tone(0.5));
  write("in/deeper/b.wav", tone(0.3, 250));
  const auto rows = converted({"in", "-o", "out", "--format", "flac", "--sample-rate", "22050"});
  ASSERT_EQ(rows.size(), 2u);
  const auto& row = rows[1];
  EXPECT_EQ(row["input"], "in/deeper/b.wav");
  EXPECT_EQ(row["output"], "out/deeper/b.flac");
  EXPECT_EQ(row["fate"], "converted");
  EXPECT_DOUBLE_EQ(row["seconds"], 0.3);
  EXPECT_NEAR(row["median_f0_hz"], 250, 3);
  EXPECT_GT(row["voiced_share"], 0.9);
  EXPECT_GT(row["elapsed_seconds"], 0);
  EXPECT_GT(row["peak"], 0);
  EXPECT_EQ(row["remark"], "");
  EXPECT_EQ(made("out/deeper/b.flac").sample_rate_hz, 22050);
  EXPECT_EQ(made("out/a.flac").n_frames(), 11025);
}

TEST_F(ConvertCommand, TheModelMayBeARunAndTheSpeakerANumber) {
  write("in.wav", tone(0.5));
  ASSERT_EQ(convert({"in.wav", "-o", "by-name.wav", "--speaker", "mara"}).exit_code, 0);
  const auto by_run =
      testing::run_program(folder_.path(), {"--workspace", testing::tiny_workspace().string(), "convert", "tiny",
                                            "in.wav", "-o", "by-number.wav", "--speaker", "1"});
  ASSERT_EQ(by_run.exit_code, 0) << by_run.err;
  EXPECT_EQ(read_file(folder_ / "by-name.wav"), read_file(folder_ / "by-number.wav"));
  ASSERT_EQ(convert({"in.wav", "-o", "first.wav"}).exit_code, 0);
  EXPECT_NE(read_file(folder_ / "by-name.wav"), read_file(folder_ / "first.wav"));
}

TEST_F(ConvertCommand, WithoutAVoicedFrameItIsBreathAndSaysSo) {
  write("hiss.wav", noise(1));
  const auto row = converted({"hiss.wav", "-o", "out.wav"})[0];
  EXPECT_EQ(row["voiced_share"], 0);
  EXPECT_EQ(row["median_f0_hz"], 0);
  EXPECT_EQ(row["remark"], "no voiced frame was found: the result is breath and noise");
  EXPECT_GT(row["peak"], 0);
  EXPECT_EQ(made("out.wav").n_frames(), kVoiceRate);
}

TEST_F(ConvertCommand, SilenceStaysSilenceAndSaysSo) {
  write("silent.wav", std::vector<float>(kRate, 0.0F));
  const auto row = converted({"silent.wav", "-o", "out.wav"})[0];
  EXPECT_EQ(row["remark"], "the recording is silent, and so is the result");
  const auto wave = made("out.wav");
  EXPECT_EQ(wave.n_frames(), kVoiceRate);
  EXPECT_TRUE(std::all_of(wave.samples.begin(), wave.samples.end(), [](float sample) { return sample == 0; }));
}

TEST_F(ConvertCommand, FiftyMillisecondsAndASingleSampleKeepTheirLength) {
  write("blip.wav", tone(0.05));
  EXPECT_DOUBLE_EQ(converted({"blip.wav", "-o", "out.wav"})[0]["seconds"], 0.05);
  EXPECT_EQ(made("out.wav").n_frames(), kVoiceRate / 20);
  write("click.wav", {0.5F}, 20000);
  EXPECT_EQ(converted({"click.wav", "-o", "out.wav"}).size(), 1u);
  EXPECT_EQ(made("out.wav").n_frames(), 2);
}

TEST_F(ConvertCommand, NineMinutesTakeLittleMoreMemoryThanOne) {
  const auto convert_minutes = [&](int minutes) {
    const auto second = testing::pseudo_speech(3, 1.0, kRate);
    std::vector<float> samples;
    for (int k = 0; k < 60 * minutes; ++k) samples.insert(samples.end(), second.begin(), second.end());
    write("in.wav", std::move(samples));
    return ProgramRun(folder_.path(), words({"in.wav", "-o", "out.wav"})).finish();
  };
  const auto one = convert_minutes(1);
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const auto nine = convert_minutes(9);
  ASSERT_EQ(nine.exit_code, 0) << nine.err;
  EXPECT_EQ(probe_audio(folder_ / "out.wav").n_frames, 9 * 60 * kVoiceRate);
  // The recording at 16 kHz and its features grow by 5 MB a minute; audio at the voice's rate alone would by 9.6 MB.
  EXPECT_LT((nine.peak_memory_bytes - one.peak_memory_bytes) / (1 << 20), 160);
}

TEST_F(ConvertCommand, FiveBrokenFilesOfTwoHundredAreNamedAndTheOthersMade) {
  for (int k = 0; k < 195; ++k) write("in/" + std::to_string(1000 + k) + ".wav", tone(0.1, 120 + k));
  write("in/cut.wav", tone(1));
  fs::resize_file(folder_ / "in/cut.wav", 16022);
  std::ofstream(folder_ / "in/empty.wav") << "";
  std::ofstream(folder_ / "in/words.wav") << "these are words and no samples";
  write("in/none.wav", {});
  write_audio(folder_ / "in/nan.wav", {tone(0.1), 1, kRate}, "wav32f");
  {
    std::fstream file(folder_ / "in/nan.wav", std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-4, std::ios::end);
    file.write("\xff\xff\xff\x7f", 4);
  }
  const auto result = convert({"in", "-o", "out"});
  EXPECT_EQ(result.exit_code, 3) << result.err;
  std::istringstream lines(result.out);
  std::vector<std::string> failed;
  int n_converted = 0;
  std::string line, last;
  for (; std::getline(lines, line); last = line) {
    if (line.find(": failed: ") != std::string::npos) failed.push_back(line);
    n_converted += line.find(" s of audio in ") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(n_converted, 195);
  EXPECT_EQ(last, "195 of 200 files converted, 5 failed");
  ASSERT_EQ(failed.size(), 5u);
  EXPECT_EQ(failed[0],
            "in/cut.wav: failed: cannot read 'in/cut.wav': truncated: its header promises 32000 bytes of samples but "
            "only 15978 follow");
  EXPECT_EQ(failed[1], "in/empty.wav: failed: cannot read 'in/empty.wav': the file is empty (0 bytes)");
  EXPECT_EQ(failed[2], "in/nan.wav: failed: 'in/nan.wav' holds samples that are not finite; repair or re-export it");
  EXPECT_EQ(failed[3], "in/none.wav: failed: 'in/none.wav' holds no samples");
  EXPECT_THAT(failed[4], HasSubstr("in/words.wav: failed: cannot read 'in/words.wav': "));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "out"), {}), 195) << "nothing half made is left";
}

TEST_F(ConvertCommand, RecordingsThatDifferOnlyInTheirEndingBothGetAResult) {
  write("in/a.wav", tone(0.1));
  write_audio(folder_ / "in/a.flac", {tone(0.2), 1, kRate});
  write("in/b.wav", tone(0.1));
  const auto rows = converted({"in", "-o", "in/out"});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(made("in/out/a.flac.wav").n_frames(), kVoiceRate / 5);
  EXPECT_EQ(made("in/out/a.wav.wav").n_frames(), kVoiceRate / 10);
  EXPECT_TRUE(fs::exists(folder_ / "in/out/b.wav"));
  EXPECT_EQ(converted({"in", "-o", "in/out"}).size(), 3u) << "results are no recordings";
}

TEST_F(ConvertCommand, ChunksDoNotChangeTheResult) {
  write("in.wav", testing::pseudo_speech(5, 4.0, kRate));
  for (const auto* chunk : {"1", "3", "600"}) {
    ASSERT_EQ(convert({"in.wav", "-o", std::string(chunk) + ".wav", "--format", "wav32f", "--chunk", chunk}).exit_code,
              0);
  }
  EXPECT_LT(largest_difference(made("1.wav"), made("600.wav")), 1e-4);
  EXPECT_LT(largest_difference(made("3.wav"), made("600.wav")), 1e-4);
}

TEST_F(ConvertCommand, TheHighPassCanBeMovedAndSwitchedOff) {
  auto rumbling = testing::pseudo_speech(5, 2.0, kRate);
  write("clean.wav", rumbling);
  const auto rumble = tone(2, 20);
  for (std::size_t n = 0; n < rumbling.size(); ++n) rumbling[n] += rumble[n];
  write("rumbling.wav", rumbling);
  const auto result_of = [&](const std::string& input, const Words& more) {
    Words all{input, "-o", "out.wav", "--format", "wav32f"};
    all.insert(all.end(), more.begin(), more.end());
    const auto result = convert(all);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return made("out.wav");
  };
  const auto expected = result_of("clean.wav", {});
  const auto filtered = largest_difference(expected, result_of("rumbling.wav", {}));
  const auto unfiltered = largest_difference(expected, result_of("rumbling.wav", {"--high-pass", "0"}));
  EXPECT_LT(filtered, 0.2 * unfiltered);
  EXPECT_EQ(largest_difference(expected, result_of("clean.wav", {"--high-pass", "48"})), 0) << "48 Hz is the default";
  EXPECT_GT(largest_difference(expected, result_of("clean.wav", {"--high-pass", "300"})), 0);
}

TEST_F(ConvertCommand, CtrlCLeavesNothingHalfMade) {
  const auto second = testing::pseudo_speech(3, 1.0, kRate);
  std::vector<float> samples;
  for (int k = 0; k < 120; ++k) samples.insert(samples.end(), second.begin(), second.end());
  write("in.wav", std::move(samples));
  fs::create_directories(folder_ / "out");
  ProgramRun run(folder_.path(), words({"in.wav", "-o", "out/made.wav"}));
  ASSERT_TRUE(run.wait_until([&] { return !fs::is_empty(folder_ / "out"); })) << run.err();
  ::kill(run.pid(), SIGINT);
  const auto result = run.finish();
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_EQ(result.err, "melisma: interrupted: conversion stopped\n");
  EXPECT_TRUE(fs::is_empty(folder_ / "out"));
}

}  // namespace
}  // namespace melisma
