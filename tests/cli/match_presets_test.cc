// `melisma match analyze|import|show` and --preset as people run them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

class MatchPresetCommand : public testing::AudioCommand {
 protected:
  MatchPresetCommand() : AudioCommand("match") {}
  void SetUp() override {
    write_audio(folder_ / "song.wav", noise(3, 0.1F, 0.2F, 1));
    write_audio(folder_ / "bright.wav", noise(2, 0.3F, 0.1F, 7));
    write_audio(folder_ / "dark.wav", noise(2, 0.6F, 0.9F, 8));
    for (const std::string name : {"bright", "dark"}) {
      const auto made = run({"analyze", name + ".wav", "-o", name + ".safetensors"});
      ASSERT_EQ(made.exit_code, 0) << made.err;
    }
  }
  [[nodiscard]] std::vector<float> samples(const char* file) const { return read_audio(folder_ / file).samples; }
  [[nodiscard]] double lufs(const char* file) const {
    return measure_loudness(read_audio(folder_ / file)).integrated_lufs;
  }
  void expect_done(const std::vector<std::string>& words) const {
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
};

TEST_F(MatchPresetCommand, APresetMatchesAsItsRecordingDoes) {
  for (const std::string mode : {"mode=exact", "mode=improved"}) {
    expect_done({"song.wav", "--reference", "dark.wav", "--set", mode, "-o", "a.wav"});
    expect_done({"song.wav", "--preset", "dark.safetensors", "--set", mode, "-o", "b.wav"});
    EXPECT_TRUE(samples("a.wav") == samples("b.wav")) << mode;
  }
}

TEST_F(MatchPresetCommand, SeveralGoOneAfterTheOtherOrTogether) {
  const std::vector<std::string> both{"song.wav", "--preset", "bright.safetensors", "--preset", "dark.safetensors"};
  const auto run_as = [&](const std::string& rule, const std::string& mode, const char* out) {
    auto words = both;
    words.insert(words.end(), {"--presets-as", rule, "--set", "mode=" + mode, "-o", out});
    expect_done(words);
  };
  run_as("sequence", "improved", "sequence.wav");
  EXPECT_NEAR(lufs("sequence.wav"), lufs("dark.wav"), 0.2);  // the last one counts
  run_as("weighted", "improved", "weighted.wav");
  EXPECT_NEAR(lufs("weighted.wav"), (lufs("bright.wav") + lufs("dark.wav")) / 2, 0.2);
  run_as("parallel", "improved", "parallel.wav");
  // As if the loud pieces followed each other: the mean of their energies.
  const double energy = (std::pow(10, lufs("bright.wav") / 10) + std::pow(10, lufs("dark.wav") / 10)) / 2;
  EXPECT_NEAR(lufs("parallel.wav"), 10 * std::log10(energy), 0.2);
  run_as("parallel", "exact", "exact-parallel.wav");
  run_as("sequence", "exact", "exact-sequence.wav");
  EXPECT_FALSE(samples("exact-parallel.wav") == samples("exact-sequence.wav"));
  // A sequence in mode exact is the command run twice, but for the file between.
  expect_done({"song.wav", "--preset", "bright.safetensors", "--exact", "--format", "wav32f", "-o", "first.wav"});
  expect_done({"first.wav", "--preset", "dark.safetensors", "--exact", "-o", "twice.wav"});
  const auto once = samples("exact-sequence.wav"), twice = samples("twice.wav");
  ASSERT_EQ(once.size(), twice.size());
  float largest = 0;
  for (std::size_t i = 0; i < once.size(); ++i) largest = std::max(largest, std::abs(once[i] - twice[i]));
  EXPECT_LT(largest, 1e-4F);
}

TEST_F(MatchPresetCommand, ShowsThemSideBySide) {
  const auto one = run({"show", "dark.safetensors"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(one.out, HasSubstr("RMS of loud pieces dB"));
  EXPECT_THAT(one.out, HasSubstr("####"));
  const auto both = run({"show", "dark.safetensors", "bright.safetensors"});
  EXPECT_THAT(both.out, HasSubstr("bright against dark"));
  EXPECT_THAT(both.out, HasSubstr("|++++"));
  const auto json = nlohmann::json::parse(run({"show", "dark.safetensors", "bright.safetensors", "--json"}).out);
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[1]["name"], "bright");
  EXPECT_NEAR(json[0]["lufs"], lufs("dark.wav"), 0.01);
  EXPECT_GT(json[0]["third_octaves"][5]["db"], json[1]["third_octaves"][5]["db"]);
}

TEST_F(MatchPresetCommand, ImportsWhatTheWebAppPickled) {
  const auto golden = testing::golden_folder("match_presets");
  if (!exists(golden)) GTEST_SKIP() << "no golden/match_presets";
  const auto pickle = (golden / "preset_numpy2_protocol4.pkl").string();
  expect_done({"import", pickle, "-o", "old.safetensors", "--set", "matching.fft_size=256"});
  const auto shown = nlohmann::json::parse(run({"show", "old.safetensors", "--json"}).out);
  EXPECT_EQ(shown[0]["pieces"], 2);
  EXPECT_EQ(shown[0]["sample_rate_hz"], 44100);
  expect_done({"song.wav", "--preset", "old.safetensors", "-o", "out.wav"});
  std::filesystem::remove(folder_ / "out.wav");
  expect_refusal({"import", (golden / "refused_call.pkl").string(), "-o", "bad.safetensors"}, 3,
                 "checkpoint: its pickle refers to 'posix.system', which weights do not need: the file is unsafe or no "
                 "weights file; nothing was run (while reading '" +
                     (golden / "refused_call.pkl").string() + "')");
}

TEST_F(MatchPresetCommand, RefusesWhatDoesNotFit) {
  write_audio(folder_ / "dark48.wav", noise(2, 0.6F, 0.9F, 8, 48000));
  expect_done({"analyze", "dark48.wav", "-o", "dark48.safetensors"});
  expect_done({"song.wav", "--preset", "dark48.safetensors", "-o", "fine.wav"});  // any rate will do
  expect_refusal(
      {"song.wav", "--preset", "dark48.safetensors", "--exact", "-o", "out.wav"}, 2,
      "config: the preset 'dark48' was made with sample_rate_hz 48000, expected 44100; analyze its recording "
      "with --exact and these settings, or match in mode improved");
  expect_refusal({"song.wav", "--preset", "dark.safetensors", "--reference", "bright.wav", "-o", "out.wav"}, 2,
                 "usage: --reference and --preset do not go together; make a preset of the reference first");
  expect_refusal({"analyze", "dark.wav", "-o", "dark.txt"}, 2,
                 "usage: 'dark.txt' is no name of a preset; end it in .safetensors");
  write_file_atomically(folder_ / "text.safetensors", "no preset");
  EXPECT_EQ(run({"song.wav", "--preset", "text.safetensors", "-o", "out.wav"}).exit_code, 3);
  EXPECT_THAT(run({"show", "none.safetensors"}).err, HasSubstr("none.safetensors"));
}

}  // namespace
}  // namespace melisma
