#include "train/prepare/ahead.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace melisma {
namespace {

std::function<std::optional<int>()> numbers_below(int end, int throws_at = -1) {
  return [next = 0, end, throws_at]() mutable -> std::optional<int> {
    if (next == throws_at) throw std::runtime_error("cannot make");
    return next < end ? std::optional(next++) : std::nullopt;
  };
}

TEST(Ahead, UsesEveryPieceInOrderOnTheCallersThread) {
  for (const bool is_parallel : {false, true}) {
    std::vector<int> used;
    const auto caller = std::this_thread::get_id();
    Ahead<int>::run(is_parallel, numbers_below(1000), [&](int piece) {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      used.push_back(piece);
    });
    ASSERT_EQ(used.size(), 1000u);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(used[static_cast<std::size_t>(i)], i);
  }
}

TEST(Ahead, WhatCannotBeMadeIsSaidAfterAllBeforeItWasUsed) {
  for (const bool is_parallel : {false, true}) {
    int n_used = 0;
    EXPECT_THROW(Ahead<int>::run(is_parallel, numbers_below(100, 37), [&](int) { ++n_used; }), std::runtime_error);
    EXPECT_EQ(n_used, 37);
  }
}

TEST(Ahead, AFailedUseEndsTheMaking) {
  for (const bool is_parallel : {false, true}) {
    int n_made = 0;
    const auto endless = [&]() -> std::optional<int> { return n_made++; };
    const auto use = [](int piece) {
      if (piece == 5) throw std::runtime_error("cannot use");
    };
    EXPECT_THROW(Ahead<int>::run(is_parallel, endless, use), std::runtime_error);
    EXPECT_LE(n_made, 6 + static_cast<int>(Ahead<int>::kPiecesAhead) + 1);
  }
}

}  // namespace
}  // namespace melisma
