#include "tools/base/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <vector>

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

}  // namespace
}  // namespace melisma
