#include "experiments/runs/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::TemporaryFolder;

std::string message_of(const std::function<void()>& action) { return testing::refusal_of(ErrorKind::usage, action); }

TEST(Run, IsCreatedWholeAndFoundByNameIdAndFolder) {
  TemporaryFolder workspace;
  const auto run = Run::create(workspace.path(), "alice", "0a1b2c3d", "epochs = 3\n", {{"seed", 1234}});
  for (const std::string& key : {std::string("alice"), std::string("alice-0a1b2c3d"), run.folder().string()}) {
    const auto found = Run::open(workspace.path(), key);
    EXPECT_EQ(found.id(), "alice-0a1b2c3d");
    EXPECT_EQ(found.name(), "alice");
    EXPECT_EQ(found.config_toml(), "epochs = 3\n");
    EXPECT_EQ(found.manifest()["seed"], 1234);
    EXPECT_EQ(found.status().state, "created");
  }
}

TEST(Run, ASecondRunOfTheSameNameAndSettingsIsRefused) {
  TemporaryFolder workspace;
  Run::create(workspace.path(), "alice", "0a1b2c3d", "", {});
  EXPECT_EQ(message_of([&] { Run::create(workspace.path(), "alice", "0a1b2c3d", "", {}); }),
            "run 'alice-0a1b2c3d' is there already; go on with it by --resume, or choose another --name");
}

TEST(Run, ATypoGetsTheNearestName) {
  TemporaryFolder workspace;
  Run::create(workspace.path(), "alice", "0a1b2c3d", "", {});
  EXPECT_EQ(message_of([&] { Run::open(workspace.path(), "alcie"); }),
            "unknown run 'alcie'; did you mean 'alice'? known: alice");
}

TEST(Run, NamesThatAreNoFolderNamesAreRefused) {
  TemporaryFolder workspace;
  for (const auto* name : {"", "../x", "a b", ".hidden"}) {
    EXPECT_THAT(message_of([&] { Run::create(workspace.path(), name, "0", "", {}); }),
                ::testing::HasSubstr("cannot name a run"));
  }
}

TEST(Run, ARunningRunWhoseProcessIsGoneReadsAsInterrupted) {
  TemporaryFolder workspace;
  const auto run = Run::create(workspace.path(), "alice", "0a1b2c3d", "", {});
  run.set_status({.state = "running", .epoch = 4, .pid = ::getpid()});
  EXPECT_EQ(run.status().state, "running");
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  run.set_status({.state = "running", .epoch = 4, .pid = child});
  EXPECT_EQ(run.status().state, "interrupted");
  EXPECT_EQ(run.status().epoch, 4);
}

TEST(Run, ListPassesOverWhatIsNoRun) {
  TemporaryFolder workspace;
  Run::create(workspace.path(), "alice", "1", "", {});
  std::filesystem::create_directories(workspace / "runs/stray");
  std::ofstream(workspace / "runs/file") << "x";
  ASSERT_EQ(Run::list(workspace.path()).size(), 1u);
  EXPECT_TRUE(Run::list(workspace / "nowhere").empty());
}

}  // namespace
}  // namespace melisma
