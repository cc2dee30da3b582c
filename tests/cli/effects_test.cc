// `melisma effects` as people run it, and every way it can be refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "tests/cli/audio_command.h"
#include "tests/cli/in_process.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using Words = std::vector<std::string>;

class EffectsCommand : public testing::AudioCommand {
 protected:
  EffectsCommand() : AudioCommand("effects") {}
  void SetUp() override {
    write_file_atomically(folder_ / "chain.toml",
                          "[[effect]]\nname = \"gain\"\ngain_db = 6.0206\n"
                          "[[effect]]\nname = \"delay\"\ntime_ms = 10\nmix = 0.5\n");
    Waveform stereo{.samples = std::vector<float>(8000), .n_channels = 2, .sample_rate_hz = 8000};
    stereo.channel(0)[100] = 0.25F;
    stereo.channel(1)[200] = -0.5F;
    write_audio(folder_ / "in.wav", stereo, "wav32f");
  }
};

TEST_F(EffectsCommand, KeepsChannelsLengthAndRate) {
  const auto result = run({"in.wav", "-o", "out.flac", "--chain", "chain.toml"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, MatchesRegex("out\\.flac: 0\\.50 s through 2 effects in [0-9.]+ s \\([0-9]+x real time\\), "
                                       "peak 0\\.50\n"));
  const auto out = read_audio(folder_ / "out.flac");
  EXPECT_EQ(out.n_channels, 2);
  EXPECT_EQ(out.sample_rate_hz, 8000);
  EXPECT_EQ(out.n_frames(), 4000);
  EXPECT_NEAR(out.channel(0)[100], 0.25, 1e-4);
  EXPECT_NEAR(out.channel(0)[180], 0.25, 1e-4);
  EXPECT_NEAR(out.channel(1)[200], -0.5, 1e-4);
  EXPECT_NEAR(out.channel(1)[280], -0.5, 1e-4);
}

TEST_F(EffectsCommand, AFolderIsProcessedFileByFileAndSaysWhatFailed) {
  fs::create_directories(folder_ / "in/deeper");
  fs::copy_file(folder_ / "in.wav", folder_ / "in/deeper/a.wav");
  write_file_atomically(folder_ / "in/b.wav", "no audio");
  const auto result = run({"in", "-o", "out", "--chain", "chain.toml", "--format", "flac16", "--json"});
  EXPECT_EQ(result.exit_code, 3);
  const auto rows = nlohmann::json::parse(result.out);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["fate"], "failed");
  EXPECT_EQ(rows[1]["output"], "out/deeper/a.flac");
  EXPECT_EQ(rows[1]["effects"], (Words{"gain", "delay"}));
  EXPECT_NEAR(rows[1]["peak"], 0.5, 1e-3);
  EXPECT_EQ(read_audio(folder_ / "out/deeper/a.flac").n_frames(), 4000);
  EXPECT_THAT(run({"in", "-o", "again", "--chain", "chain.toml"}).out, HasSubstr("1 of 2 files processed, 1 failed"));
}

TEST_F(EffectsCommand, WhatIsTooLoudForTheFormatIsSaid) {
  write_file_atomically(folder_ / "loud.toml", "[[effect]]\nname = \"gain\"\ngain_db = 12\n");
  EXPECT_THAT(run({"in.wav", "-o", "out.wav", "--chain", "loud.toml"}).out,
              HasSubstr("peak 1.99; the result was clipped: its peak was 1.99 of full scale"));
  EXPECT_THAT(run({"in.wav", "-o", "out.wav", "--chain", "loud.toml", "--format", "wav32f"}).out,
              ::testing::Not(HasSubstr("clipped")));
}

TEST_F(EffectsCommand, RefusesWhatCannotBeDone) {
  expect_refusal({"in.wav", "-o", "out.wav", "--chain", "none.toml"}, 2, "config: no settings file 'none.toml'");
  expect_refusal({"none.wav", "-o", "out.wav", "--chain", "chain.toml"}, 3,
                 "data: there is no file or folder 'none.wav'; give a recording, or a folder of them");
  expect_refusal({"in.wav", "-o", "in.wav", "--chain", "chain.toml"}, 2,
                 "usage: 'in.wav' is the recording itself; name another output");
  expect_refusal({"in.wav", "-o", "out.wav"}, 2, "usage: --chain is required; see melisma effects --help");
  write_file_atomically(folder_ / "wrong.toml",
                        "[[effect]]\nname = \"gian\"\n\n[[effect]]\nname = \"delay\"\nmix = 2\n");
  const auto wrong = run({"in.wav", "-o", "out.wav", "--chain", "wrong.toml"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("wrong.toml:1:1: unknown effect 'gian'; did you mean 'gain'?"));
  EXPECT_THAT(wrong.err, HasSubstr("wrong.toml:6:1: 'mix' must be between 0 and 1, found 2"));
  write_file_atomically(folder_ / "high.toml", "[[effect]]\nname = \"low-pass\"\n");
  expect_refusal({"in.wav", "-o", "out.wav", "--chain", "high.toml"}, 2,
                 "config: the corner of 5000 Hz is not below half the sample rate, 4000 Hz (while making effect 1 of "
                 "'high.toml', low-pass)");
}

TEST_F(EffectsCommand, ConfigExplainsAndChecksChains) {
  const auto one = testing::melisma_in_process({"config", "explain", "effects", "delay"});
  EXPECT_THAT(one.out,
              HasSubstr("delay.time_ms = 500.0\n    from a sound to its echo, to the nearest sample\n    number "
                        "in ms; 0.1 to 60000\n"));
  const auto fine =
      testing::melisma_in_process({"config", "check", (folder_ / "chain.toml").string(), "--task", "effects"});
  EXPECT_EQ(fine.exit_code, 0);
  EXPECT_EQ(fine.out, "'" + (folder_ / "chain.toml").string() + "' is fine for effects: gain, delay\n");
  EXPECT_EQ(testing::melisma_in_process(
                {"config", "check", (folder_ / "chain.toml").string(), "--task", "effects", "--set", "delay.mix=1"})
                .exit_code,
            2);
}

}  // namespace
}  // namespace melisma
