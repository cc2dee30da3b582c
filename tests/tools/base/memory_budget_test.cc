#include "tools/base/memory_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace melisma {
namespace {

TEST(MemoryBudget, IsNeverExceededAndEverythingGetsItsTurn) {
  MemoryBudget budget(100);
  std::atomic<int> used = 0, most = 0, done = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&] {
      const MemoryBudget::Share share(budget, 40);
      const int now = used += 40;
      int before = most;
      while (before < now && !most.compare_exchange_weak(before, now)) {
      }
      std::this_thread::yield();
      used -= 40;
      ++done;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, 12);
  EXPECT_LE(most, 80);
}

TEST(MemoryBudget, WhatNeedsMoreThanAllOfItRunsAlone) {
  MemoryBudget budget(100);
  std::atomic<bool> is_second_in = false;
  std::thread second;
  {
    const MemoryBudget::Share all(budget, 1000);
    second = std::thread([&] {
      const MemoryBudget::Share share(budget, 1);
      is_second_in = true;
    });
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    EXPECT_FALSE(is_second_in);
  }
  second.join();
  EXPECT_TRUE(is_second_in);
  EXPECT_GT(half_of_memory(), 0);
}

}  // namespace
}  // namespace melisma
