// The program knows the commit it was built from: the script that writes it down, and where it shows.
#include "tools/cli/commit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/cli/in_process.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::TemporaryFolder;

bool runs(const std::string& command) { return std::system(("( " + command + " ) >/dev/null 2>&1").c_str()) == 0; }

// What the build's script writes for the sources in `source`.
std::string written_for(const fs::path& source) {
  const auto script = testing::source_folder() / "tools/cmake/commit.cmake";
  const auto output = source / "commit.cc";
  EXPECT_TRUE(
      runs("cmake '-DSOURCE=" + source.string() + "' '-DOUTPUT=" + output.string() + "' -P '" + script.string() + "'"));
  return read_file(output);
}

TEST(Commit, IsShownWithTheVersion) {
  EXPECT_THAT(program_commit(), MatchesRegex("[0-9a-f]{40}|unknown"));
  const auto version = testing::melisma_in_process({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, HasSubstr(std::string("(commit ") + program_commit() + ")"));
}

TEST(Commit, IsThatOfTheRepositoryAndUnknownOutsideOne) {
  if (!runs("cmake --version") || !runs("git --version")) GTEST_SKIP() << "needs cmake and git in PATH";
  const TemporaryFolder folder;
  EXPECT_THAT(written_for(folder.path()), HasSubstr("return \"unknown\";"));
  const auto git = "cd '" + folder.path().string() + "' && git -c user.name=a -c user.email=a@b.c ";
  ASSERT_TRUE(runs(git + "init"));
  EXPECT_THAT(written_for(folder.path()), HasSubstr("return \"unknown\";")) << "nothing is committed yet";
  ASSERT_TRUE(runs(git + "commit --allow-empty -m one"));
  ASSERT_TRUE(runs(git + "rev-parse HEAD > head.txt"));
  const auto head = read_file(folder / "head.txt").substr(0, 40);
  EXPECT_THAT(written_for(folder.path()), HasSubstr("return \"" + head + "\";"));
}

}  // namespace
}  // namespace melisma
