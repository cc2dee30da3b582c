#include "train/parallel/process_ranks.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "tests/support/refusal.h"
#include "tests/train/parallel/message_of.h"
#include "train/parallel/ranks_on_threads.h"

namespace melisma {
namespace {
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::StartsWith;

TEST(Shard, CoversEveryItemOnceAndGivesRankZeroTheFirst) {
  for (std::int64_t size = 1; size <= 5; ++size) {
    for (std::int64_t n = 1; n <= 12; ++n) {
      std::int64_t next = 0;
      for (std::int64_t rank = 0; rank < size; ++rank) {
        const Shard shard{rank, size};
        EXPECT_EQ(shard.first_of(n), next);
        next += shard.count_of(n);
        EXPECT_LE(shard.count_of(n), (n + size - 1) / size);
      }
      EXPECT_EQ(next, n);
      EXPECT_GE((Shard{0, size}.count_of(n)), 1);
    }
  }
}

TEST(ProcessRanks, AgreeOnNumbersTextsAndTensors) {
  as_ranks({.n = 3}, [](ProcessRanks& ranks) {
    const auto rank = ranks.shard().rank;
    EXPECT_EQ(ranks.sum({1.0, static_cast<double>(rank)}), (std::vector<double>{3.0, 3.0}));
    EXPECT_TRUE(ranks.sum({}).empty());
    EXPECT_EQ(ranks.largest(10 * rank), 20);
    EXPECT_EQ(ranks.text_of_first("rank " + std::to_string(rank)), "rank 0");
    EXPECT_EQ(ranks.text_of_first(rank == 0 ? "" : "something"), "");
    EXPECT_EQ(ranks.numbers_of_first({0.1 + static_cast<double>(rank)}), std::vector<double>{0.1});
    const auto tensor = at::full({4}, rank, at::kLong);
    ranks.copy_from_first({tensor});
    EXPECT_TRUE(at::equal(tensor, at::zeros({4}, at::kLong)));
  });
}

TEST(ProcessRanks, OtherSettingsAreNamedOnEveryRank) {
  const auto outcomes = outcomes_of_ranks({.n = 2}, [](ProcessRanks& ranks) {
    ranks.require_same("settings", ranks.is_first() ? "seed = 1\nepochs = 2\n" : "seed = 1\nepochs = 3\n");
  });
  for (const auto& outcome : outcomes) {
    EXPECT_THAT(message_of(outcome),
                StartsWith("config: the ranks differ in their settings: rank 1 has epochs = 3 where "
                           "rank 0 has epochs = 2; start all of them"));
  }
}

TEST(ProcessRanks, ARankThatFailsIsNamedWithItsReason) {
  const auto outcomes = outcomes_of_ranks({.n = 3, .timeout_seconds = 4}, [](ProcessRanks& ranks) {
    (void)ranks.largest(1);
    if (ranks.shard().rank == 1) fail(ErrorKind::data, "its disk is empty");
    for (;;) (void)ranks.largest(2);
  });
  for (const std::size_t rank : {0, 2}) {
    EXPECT_THAT(message_of(outcomes[rank]),
                AllOf(StartsWith("network: rank 1 of 3 ("), HasSubstr(") failed: data: its disk is empty (")));
  }
}

TEST(ProcessRanks, RankZeroToo) {
  const auto outcomes = outcomes_of_ranks({.n = 2, .timeout_seconds = 4}, [](ProcessRanks& ranks) {
    if (ranks.is_first()) fail(ErrorKind::data, "its disk is empty");
    (void)ranks.largest(2);
  });
  EXPECT_THAT(message_of(outcomes[1]), HasSubstr("rank 0 of 2 ("));
  EXPECT_THAT(message_of(outcomes[1]), HasSubstr("failed: data: its disk is empty"));
}

TEST(ProcessRanks, ARankThatIsMerelyLateIsNotCalledLost) {
  const auto outcomes = outcomes_of_ranks({.n = 2, .timeout_seconds = 1.5}, [](ProcessRanks& ranks) {
    if (!ranks.is_first()) std::this_thread::sleep_for(std::chrono::seconds(4));
    (void)ranks.largest(1);
  });
  EXPECT_THAT(message_of(outcomes[0]),
              StartsWith("network: no rank is lost, but they did not come together within 1.5 s; raise "
                         "distributed.timeout"));
}

TEST(ProcessRanks, RankZeroLeavesLast) {
  std::atomic<int> n_ready = 0;
  as_ranks({.n = 3}, [&](ProcessRanks& ranks) {
    (void)ranks.largest(1);
    if (!ranks.is_first()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      n_ready += 1;
      return;
    }
    ranks.leave();
    EXPECT_EQ(n_ready, 2);
  });
}

// torchrun's agent keeps the meeting place itself and starts ranks again, with other keys, when one failed.
TEST(Group, RanksMeetAtAPlaceThatTheirStarterKeeps) {
  c10d::TCPStoreOptions options;
  options.port = 0;
  options.isServer = true;
  options.waitWorkers = false;
  const auto kept = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  for (const auto* attempt : {"0", "1"}) {
    const auto total_of = [&](std::int64_t rank) {
      Meeting meeting{.place = {rank, 2}, .address = "127.0.0.1", .port = kept->getPort(), .listener = nullptr};
      meeting.timeout_seconds = 20;
      meeting.notes_prefix = attempt;
      ProcessRanks ranks(std::make_unique<Group>(std::move(meeting)), 25);
      const auto total = ranks.sum({1.0 + static_cast<double>(rank)}).front();
      ranks.leave();
      return total;
    };
    auto other = std::async(std::launch::async, total_of, 1);
    EXPECT_EQ(total_of(0), 3.0);
    EXPECT_EQ(other.get(), 3.0);
  }
}

TEST(Group, NamesTheRanksThatDidNotCome) {
  const auto meet = [] {
    auto listener = std::make_unique<Listener>("127.0.0.1", std::vector<std::uint16_t>{0});
    const auto port = listener->port();
    const Group group({.place = {0, 3},
                       .address = "127.0.0.1",
                       .port = port,
                       .listener = std::move(listener),
                       .timeout_seconds = 0.5});
  };
  EXPECT_THAT(testing::refusal_of(ErrorKind::network, meet),
              AllOf(StartsWith("ranks 1, 2 of 3 did not come to 127.0.0.1:"),
                    HasSubstr("within 0.5 s; see why, or raise distributed.timeout")));
}

TEST(Group, ARankZeroThatIsNotThereIsNamed) {
  std::uint16_t port = 0;
  {
    const Listener closed("127.0.0.1", {0});
    port = closed.port();
  }
  const auto meet = [port] {
    const Group group(
        {.place = {1, 2}, .address = "127.0.0.1", .port = port, .listener = nullptr, .timeout_seconds = 0.5});
  };
  EXPECT_THAT(testing::refusal_of(ErrorKind::network, meet),
              AllOf(StartsWith("rank 1 could not reach rank 0 at 127.0.0.1:"), HasSubstr("Connection refused")));
}

}  // namespace
}  // namespace melisma
