#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/in_process.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/cli/settings_table.h"
#include "tools/config/config.h"

namespace melisma {
namespace {

using ::testing::HasSubstr;
using testing::melisma_in_process;

TEST(ConfigReference, TheShippedPageIsWhatTheProgramSays) {
  const auto page = testing::source_folder() / "experiments/configs/REFERENCE.md";
  EXPECT_EQ(read_file(page), settings_reference())
      << "settings have changed: melisma config reference > experiments/configs/REFERENCE.md";
}

TEST(ConfigReference, EverySettingSaysWhatItMeans) {
  for (const auto& row : kSettingsOfTasks) {
    EXPECT_FALSE(row.summary.empty()) << row.name;
    const auto settings = row.make();
    for (const auto& setting : settings->schema())
      EXPECT_FALSE(setting.help.empty()) << row.name << " " << setting.path;
  }
}

TEST(ShippedConfigs, LoadWithoutProblems) {
  for (const auto& row : kSettingsOfTasks) {
    const auto folder = testing::source_folder() / "experiments/configs" / row.name;
    if (!std::filesystem::exists(folder)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".toml") continue;
      const auto settings = row.make();
      auto schema = settings->schema();
      EXPECT_NO_THROW(configure(schema, entry.path(), {})) << entry.path();
    }
  }
}

TEST(Commands, EachHasASummary) {
  for (const auto& command : kCommands) EXPECT_FALSE(command.summary.empty()) << command.name;
}

TEST(ConfigCommand, ExplainsATaskASectionOrASetting) {
  const auto all = melisma_in_process({"config", "explain", "rvc"});
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_THAT(all.out, HasSubstr("trainer.epochs = 100"));
  const auto one = melisma_in_process({"config", "explain", "rvc", "trainer.epochs"});
  EXPECT_EQ(one.out, "trainer.epochs = 100\n    epochs to train at most\n    integer; at least 1\n");
  EXPECT_THAT(melisma_in_process({"config", "explain", "rvc", "overtraining"}).out,
              HasSubstr("patience, trend, gap, off"));
}

TEST(ConfigCommand, SuggestsTheNearestName) {
  const auto task = melisma_in_process({"config", "explain", "rvd"});
  EXPECT_EQ(task.exit_code, 2);
  EXPECT_THAT(task.err, HasSubstr("unknown task 'rvd'; did you mean 'rvc'?"));
  const auto setting = melisma_in_process({"config", "explain", "rvc", "trainer.epoch"});
  EXPECT_EQ(setting.exit_code, 2);
  EXPECT_THAT(setting.err, HasSubstr("did you mean 'trainer.epochs'"));
}

TEST(ConfigCommand, ChecksAFileAndShowsEveryProblem) {
  const testing::TemporaryFolder folder;
  const auto file = (folder / "my.toml").string();
  write_file_atomically(folder / "my.toml", "[trainer]\nepochs = 20\n");
  const auto good = melisma_in_process({"config", "check", file, "--set", "trainer.seed=7"});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.out, "'" + file +
                          "' is fine for rvc; 2 settings differ from the defaults:\n"
                          "  trainer.seed = 7  (default 1234)\n  trainer.epochs = 20  (default 100)\n");
  write_file_atomically(folder / "my.toml", "[trainer]\nepocs = 20\nseed = -1\n");
  const auto bad = melisma_in_process({"config", "check", file});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_EQ(bad.err, "melisma: config: 2 problems:\n  " + file +
                         ":2:1: unknown key 'trainer.epocs'; did you mean 'trainer.epochs'?\n  " + file +
                         ":3:1: 'trainer.seed' must be at least 0, found -1\n");
}

}  // namespace
}  // namespace melisma
