#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/hash.h"
#include "tools/base/seed.h"
#include "tools/base/stop.h"
#include "tools/base/text_table.h"

namespace melisma {
namespace {

TEST(Hash, MatchesPublishedValues) {
  // FIPS 180-4 example; XXH3-128 of nothing as the reference implementation's test vectors have it.
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(content_hash(""), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash, PiecesAndFilesHashLikeTheWhole) {
  const testing::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 300000; ++i) text += static_cast<char>(i * 7);
  ContentHasher hasher;
  for (std::size_t at = 0; at < text.size(); at += 1013) hasher.add(std::string_view(text).substr(at, 1013));
  EXPECT_EQ(hasher.hex(), content_hash(text));
  write_file_atomically(folder / "a", text);
  EXPECT_EQ(sha256_of_file(folder / "a"), sha256(text));
}

TEST(Seed, IsAFunctionOfItsArguments) {
  EXPECT_EQ(seed_of(1, "noise", {2, 3}), seed_of(1, "noise", {2, 3}));
  const std::set<std::uint64_t> seeds{seed_of(1, "noise", {2, 3}), seed_of(2, "noise", {2, 3}),
                                      seed_of(1, "order", {2, 3}), seed_of(1, "noise", {3, 2}),
                                      seed_of(1, "noise", {2}),    seed_of(1, "noise")};
  EXPECT_EQ(seeds.size(), 6u);
}

TEST(Seed, PermutationsHoldEachNumberOnce) {
  RandomSource random(7);
  auto order = random.permutation(1000);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (std::int64_t i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  EXPECT_TRUE(random.permutation(0).empty());
}

TEST(Seed, NumbersAreSpreadEvenly) {
  RandomSource random(11);
  double sum = 0;
  int counts[10] = {};
  for (int i = 0; i < 10000; ++i) {
    sum += random.uniform();
    ++counts[random.below(10)];
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
}

TEST(Stop, TheFirstSignalAsksAndTheSecondEnds) {
  const pid_t child = ::fork();
  if (child == 0) {
    install_stop_handlers();
    ::raise(SIGTERM);
    if (stop_requested() != SIGTERM) ::_exit(1);
    ::raise(SIGTERM);
    ::_exit(2);  // not reached
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

TEST(Stop, CanBeAskedForAndTakenBack) {
  request_stop(SIGINT);
  EXPECT_EQ(stop_requested(), SIGINT);
  request_stop(0);
  EXPECT_EQ(stop_requested(), 0);
}

TEST(TextTable, AlignsTextLeftAndNumbersRight) {
  EXPECT_EQ(text_table({{"run", "epoch", "state"}, {"alice", "12", "ok"}, {"b\xc3\xa9", "3"}}),
            "run    epoch  state\nalice     12  ok\nb\xc3\xa9         3\n");
}

}  // namespace
}  // namespace melisma
