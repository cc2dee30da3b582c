// Programs run to their end, and what they cost.
#include "tools/base/program.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {

TEST(RunToEnd, SaysHowAProgramEndedAndKeepsWhatItSaid) {
  const testing::TemporaryFolder folder;
  const auto cost = run_to_end({"sh", "-c", "echo out; echo err >&2; exit 7"}, folder / "out", folder / "err");
  EXPECT_EQ(cost.exit_code, 7);
  EXPECT_EQ(read_file(folder / "out"), "out\n");
  EXPECT_EQ(read_file(folder / "err"), "err\n");
  EXPECT_EQ(run_to_end({"sh", "-c", "kill -9 $$"}, folder / "out").exit_code, 128 + 9);
  EXPECT_NE(testing::refusal_of(ErrorKind::device, [&] { (void)run_to_end({"no such program"}, folder / "out"); }),
            "no error");
}

// What this process holds is not the program's.
TEST(RunToEnd, MemoryIsTheProgramsOwn) {
  const testing::TemporaryFolder folder;
  const std::vector<char> held(std::size_t{300} << 20, 'x');
  const auto small = run_to_end({"sleep", "0.2"}, folder / "out");
  EXPECT_GT(small.peak_megabytes, 0.1);
  EXPECT_LT(small.peak_megabytes, 100);
  EXPECT_EQ(held.back(), 'x');
}

}  // namespace
}  // namespace melisma
