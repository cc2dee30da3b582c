#include "tools/base/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/golden.h"

namespace melisma {
namespace {

// Sanitizers keep what was freed, to see who uses it.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// Bytes of this process that are in memory.
std::int64_t resident() {
  std::ifstream file("/proc/self/statm");
  std::int64_t all = 0, pages = 0;
  file >> all >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

TEST(Memory, WhatWasFreedBelowSomethingInUseGoesBackToTheSystem) {
  std::vector<std::unique_ptr<std::vector<char>>> blocks;
  for (int i = 0; i < 2000; ++i) blocks.push_back(std::make_unique<std::vector<char>>(64 << 10, 'x'));
  const auto last = std::make_unique<std::vector<char>>(64 << 10, 'x');  // keeps the heap's end where it is
  blocks.clear();
  const auto before = resident();
  release_free_memory();
  EXPECT_LT(resident(), before - (64 << 20));
  EXPECT_EQ(last->back(), 'x');
}

TEST(Memory, LargeBlocksGoBackAtOnceWhenAsked) {
  return_large_blocks_at_once();
  { const std::vector<char> raises_what_counts_as_large(24 << 20, 'x'); }  // were it left to the allocator
  std::vector<std::unique_ptr<std::vector<char>>> blocks;
  for (int i = 0; i < 16; ++i) blocks.push_back(std::make_unique<std::vector<char>>(8 << 20, 'x'));
  const auto last = std::make_unique<std::vector<char>>(8 << 20, 'x');
  const auto before = resident();
  blocks.clear();
  EXPECT_LT(resident(), before - (100 << 20));
  EXPECT_EQ(last->back(), 'x');
}
#endif

// A machine's and a container's numbers, as files say them.
class AvailableMemory : public ::testing::Test {
 protected:
  void say(const char* file, const std::string& text) const {
    std::filesystem::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text;
  }
  testing::TemporaryFolder folder;
  std::filesystem::path root = folder / "root";
};

TEST_F(AvailableMemory, IsTheMachinesOrWhatTheContainersLimitLeaves) {
  EXPECT_EQ(available_memory(root), 0u);
  say("proc/meminfo", "MemTotal:       4000 kB\nMemFree:        1000 kB\nMemAvailable:   3000 kB\n");
  EXPECT_EQ(available_memory(root), 3000u << 10);
  say("sys/fs/cgroup/memory.max", "max\n");
  say("sys/fs/cgroup/memory.current", "1000000\n");
  EXPECT_EQ(available_memory(root), 3000u << 10);
  say("sys/fs/cgroup/memory.max", "1500000\n");
  EXPECT_EQ(available_memory(root), 500000u);
  say("sys/fs/cgroup/memory.stat", "anon 700000\ninactive_file 200000\n");
  EXPECT_EQ(available_memory(root), 700000u);
  say("sys/fs/cgroup/memory/memory.limit_in_bytes", "900000\n");
  say("sys/fs/cgroup/memory/memory.usage_in_bytes", "950000\n");
  EXPECT_EQ(available_memory(root), 0u);
}

TEST(Memory, SomethingIsAvailableHere) { EXPECT_GT(available_memory(), std::uint64_t{1} << 20); }

}  // namespace
}  // namespace melisma
