#include "models/layers/tensor_memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

namespace melisma {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

at::Tensor bytes(std::int64_t n) { return at::empty({n}, at::kByte); }

// LibTorch's own allocator is back after each test, and nothing is kept.
struct TensorMemoryOfLargeBlocks : ::testing::Test {
  void TearDown() override {
    reuse_tensor_memory(0);
    outer_.reset();
  }

 private:
  std::optional<OrdinaryTensorMemory> outer_{std::in_place};
};

TEST_F(TensorMemoryOfLargeBlocks, AFreedBlockServesTheNextTensorOfNearlyItsSize) {
  reuse_tensor_memory(2);
  const void* first = bytes(40 * kMiB).data_ptr();
  EXPECT_EQ(tensor_memory().kept, 40 * kMiB);
  const auto next = bytes(39 * kMiB);
  EXPECT_EQ(next.data_ptr(), first);
  EXPECT_EQ(tensor_memory().kept, 0);
  EXPECT_NE(bytes(4 * kMiB).data_ptr(), first);
}

TEST_F(TensorMemoryOfLargeBlocks, AMuchLargerBlockIsNotTaken) {
  reuse_tensor_memory(2);
  const void* large = bytes(64 * kMiB).data_ptr();
  EXPECT_NE(bytes(16 * kMiB).data_ptr(), large);
}

TEST_F(TensorMemoryOfLargeBlocks, NeverHoldsMoreThanTheHeadroomOverTheMostThatWasUsed) {
  reuse_tensor_memory(1.25);
  const auto most_before = static_cast<std::int64_t>(tensor_memory().most_used);
  const auto large = most_before + 64 * kMiB;
  (void)bytes(large);
  for (std::int64_t size = 4; size < 60; size += 3) {
    (void)bytes(size * kMiB);
    const auto memory = tensor_memory();
    EXPECT_LE(memory.used + memory.kept, memory.most_used + memory.most_used / 4);
  }
  reuse_tensor_memory(0);
  EXPECT_EQ(tensor_memory().kept, 0);
}

TEST_F(TensorMemoryOfLargeBlocks, TensorsOutliveAChangeOfTheWay) {
  reuse_tensor_memory(2);
  auto reused = at::arange(4 * kMiB, at::kInt);
  at::Tensor ordinary;
  {
    const OrdinaryTensorMemory scope;
    ordinary = reused.clone();
    EXPECT_EQ(tensor_memory().used, 16 * kMiB);
  }
  EXPECT_TRUE(at::equal(reused, ordinary));
  reused.reset();
  ordinary.reset();
  EXPECT_EQ(tensor_memory().used, 0);
}

TEST_F(TensorMemoryOfLargeBlocks, ThreadsDoNotShareLivingBlocks) {
  reuse_tensor_memory(4);
  std::vector<std::thread> threads;
  std::atomic<int> n_wrong = 0;
  for (int id = 1; id <= 4; ++id) {
    threads.emplace_back([id, &n_wrong] {
      for (int round = 0; round < 50; ++round) {
        const auto tensor = at::full({(2 + round % 5) * kMiB}, id, at::kByte);
        if (!tensor.eq(id).all().item<bool>()) ++n_wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(n_wrong, 0);
  EXPECT_EQ(tensor_memory().used, 0);
}

TEST_F(TensorMemoryOfLargeBlocks, AResizedTensorKeepsWhatItHeld) {
  reuse_tensor_memory(2);
  auto tensor = at::arange(2 * kMiB, at::kInt);
  tensor.resize_({8 * kMiB});
  EXPECT_TRUE(at::equal(tensor.narrow(0, 0, 2 * kMiB), at::arange(2 * kMiB, at::kInt)));
}

}  // namespace
}  // namespace melisma
