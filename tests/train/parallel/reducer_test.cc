#include "train/parallel/reducer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/train/parallel/message_of.h"
#include "train/parallel/ranks_on_threads.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;

at::Tensor parameter(std::vector<std::int64_t> shape, double value) {
  return at::full(shape, value, at::kFloat).set_requires_grad(true);
}

at::Tensor good() { return at::zeros({}, at::kBool); }

// x -> a chain of matrix products, one parameter each.
struct Chain {
  explicit Chain(std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
      weights.emplace_back("weight." + std::to_string(i), parameter({16, 16}, 0.05 + 0.001 * static_cast<double>(i)));
    }
  }
  [[nodiscard]] at::Tensor loss(double input) const {
    auto x = at::full({2, 16}, input);
    for (const auto& [name, weight] : weights) x = at::tanh(at::matmul(x, weight));
    return x.sum();
  }
  Ranks::NamedTensors weights;
};

TEST(Reducer, EveryRankHasTheSumOfAllRanks) {
  for (const double bucket_mb : {0.001, 0.003, 25.0}) {
    Chain reference(5);
    for (const double input : {0.1, 0.2, 0.3}) reference.loss(input).backward();
    as_ranks({.n = 3, .bucket_mb = bucket_mb}, [&](ProcessRanks& ranks) {
      const Chain own(5);
      ranks.join({{"chain", own.weights}});
      ranks.expect_gradients(0);
      own.loss(0.1 * static_cast<double>(ranks.shard().rank + 1)).backward();
      (void)ranks.sum_gradients(0, good());
      for (std::size_t i = 0; i < own.weights.size(); ++i) {
        EXPECT_TRUE(at::allclose(own.weights[i].second.grad(), reference.weights[i].second.grad(), 1e-5, 1e-6));
      }
    });
  }
}

TEST(Reducer, BucketsStartWhileTheBackwardPassRuns) {
  as_ranks({.n = 2, .bucket_mb = 0.00205}, [&](ProcessRanks& ranks) {
    const Chain own(6);
    ranks.join({{"chain", own.weights}});
    ranks.expect_gradients(0);
    own.loss(0.1).backward();
    (void)ranks.sum_gradients(0, good());
    EXPECT_EQ(ranks.reducer(0).n_buckets(), 3) << "two parameters of 1 KB fit into 2 KB";
    EXPECT_EQ(ranks.reducer(0).n_overlapped(), 3);
  });
}

TEST(Reducer, TheTurnsOfSeveralMicroBatchesAreSummedOnce) {
  Chain reference(3);
  for (const double input : {0.1, 0.2, 0.3, 0.4}) reference.loss(input).backward();
  as_ranks({.n = 2}, [&](ProcessRanks& ranks) {
    const Chain own(3);
    ranks.join({{"chain", own.weights}});
    const double offset = ranks.is_first() ? 0.1 : 0.3;
    own.loss(offset).backward();
    ranks.expect_gradients(0);
    own.loss(offset + 0.1).backward();
    (void)ranks.sum_gradients(0, good());
    EXPECT_TRUE(at::allclose(own.weights[0].second.grad(), reference.weights[0].second.grad(), 1e-5, 1e-6));
  });
}

TEST(Reducer, WhatNoRankUsesHasNoGradientAndWhatOneUsesIsSummed) {
  as_ranks({.n = 2}, [](ProcessRanks& ranks) {
    const auto everyone = parameter({3}, 1), some = parameter({2}, 1), nobody = parameter({4}, 1);
    ranks.join({{"net", {{"everyone", everyone}, {"some", some}, {"nobody", nobody}}}});
    for (int turn = 0; turn < 2; ++turn) {  // what a turn left behind does not count in the next one
      for (const auto& tensor : {everyone, some, nobody}) tensor.mutable_grad() = at::Tensor();
      ranks.expect_gradients(0);
      auto loss = everyone.sum();
      if (ranks.is_first()) loss = loss + 5 * some.sum();
      loss.backward();
      (void)ranks.sum_gradients(0, good());
      EXPECT_TRUE(at::equal(everyone.grad(), at::full({3}, 2.0F)));
      EXPECT_TRUE(at::equal(some.grad(), at::full({2}, 5.0F)));
      EXPECT_FALSE(nobody.grad().defined());
    }
  });
}

TEST(Reducer, ARankWithoutAnyItemTakesPart) {
  as_ranks({.n = 2}, [](ProcessRanks& ranks) {
    const auto weight = parameter({3}, 1);
    ranks.join({{"net", {{"weight", weight}}}});
    ranks.expect_gradients(0);
    if (ranks.is_first()) weight.sum().backward();
    (void)ranks.sum_gradients(0, good());
    EXPECT_TRUE(at::equal(weight.grad(), at::ones({3})));
  });
}

TEST(Reducer, BadOnOneRankIsBadOnAll) {
  as_ranks({.n = 3}, [](ProcessRanks& ranks) {
    const auto weight = parameter({3}, 1);
    ranks.join({{"net", {{"weight", weight}}}});
    for (const bool is_bad : {true, false}) {
      ranks.expect_gradients(0);
      weight.sum().backward();
      const auto own = at::full({}, is_bad && ranks.shard().rank == 1, at::kBool);
      EXPECT_EQ(ranks.sum_gradients(0, own).item<bool>(), is_bad);
    }
  });
}

TEST(Reducer, AnotherShapeIsNamedOnEveryRankBeforeAnythingIsSummed) {
  const auto outcomes = outcomes_of_ranks({.n = 3}, [](ProcessRanks& ranks) {
    const std::int64_t width = ranks.shard().rank == 2 ? 5 : 4;
    ranks.join({{"generator", {{"a", parameter({2}, 1)}, {"dec.weight", parameter({2, width}, 1)}}}});
  });
  for (const auto& outcome : outcomes) {
    EXPECT_THAT(
        testing::message_of(outcome),
        HasSubstr("config: the ranks differ in their parameters: rank 2 has generator 'dec.weight' [2, 5] Float "
                  "where rank 0 has generator 'dec.weight' [2, 4] Float"));
  }
}

TEST(Reducer, AMissingParameterIsNamed) {
  const auto outcomes = outcomes_of_ranks({.n = 2}, [](ProcessRanks& ranks) {
    Ranks::NamedTensors parameters{{"a", parameter({2}, 1)}};
    if (ranks.is_first()) parameters.emplace_back("b", parameter({2}, 1));
    ranks.join({{"net", parameters}});
  });
  EXPECT_THAT(testing::message_of(outcomes[1]), HasSubstr("rank 1 has nothing where rank 0 has net 'b' [2] Float"));
}

}  // namespace
}  // namespace melisma
