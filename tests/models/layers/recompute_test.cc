#include "models/layers/recompute.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "models/layers/layers.h"

namespace melisma {
namespace {

// Two convolutions with a tanh between, and how often they ran.
struct Part {
  Part() : first(4, 4, {.kernel = 3, .padding = 1, .weight_norm = true}), second(4, 4, {.kernel = 3, .padding = 1}) {
    auto generator = at::detail::createCPUGenerator(3);
    first.initialise(generator);
    second.initialise(generator);
  }
  at::Tensor operator()(const at::Tensor& x) {
    n_runs += 1;
    const auto inner = at::tanh(first(x));
    type = inner.scalar_type();
    return second(inner) + x;
  }
  [[nodiscard]] std::vector<at::Tensor> gradients() const {
    std::vector<at::Tensor> all;
    for (const auto* conv : {&first, &second}) {
      for (const auto& [name, tensor] : conv->parameters()) all.push_back(tensor.grad());
    }
    return all;
  }
  Conv1d first, second;
  int n_runs = 0;
  at::ScalarType type = at::kFloat;
};

at::Tensor input() { return at::linspace(-1, 1, 2 * 4 * 9, at::kFloat).view({2, 4, 9}).set_requires_grad(true); }

TEST(Recompute, GradientsAreThePlainOnesAndThePartRunsTwice) {
  Part plain, again;
  const auto x = input(), y = input();
  plain(at::sin(x)).square().sum().backward();
  recomputed(std::ref(again), at::sin(y)).square().sum().backward();
  EXPECT_EQ(plain.n_runs, 1);
  EXPECT_EQ(again.n_runs, 2);
  EXPECT_TRUE(at::equal(x.grad(), y.grad()));
  const auto expected = plain.gradients(), found = again.gradients();
  ASSERT_EQ(found.size(), 5u);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(at::equal(found[i], expected[i])) << i;
}

TEST(Recompute, RunsOnceWhereNoGradientIsWanted) {
  Part part;
  (void)recomputed(std::ref(part), input().detach());
  {
    const c10::NoGradGuard no_grad;
    (void)recomputed(std::ref(part), input());
  }
  EXPECT_EQ(part.n_runs, 2);
}

TEST(Recompute, TheSecondRunIsInTheAutocastOfTheFirst) {
  Part part;
  at::Tensor made;
  {
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, true);
    made = recomputed(std::ref(part), input());
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
  }
  EXPECT_EQ(part.type, at::kBFloat16);
  part.type = at::kFloat;
  made.to(at::kFloat).sum().backward();
  EXPECT_EQ(part.n_runs, 2);
  EXPECT_EQ(part.type, at::kBFloat16);
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

TEST(Recompute, AScopeIsTheThreadsUntilItEnds) {
  EXPECT_FALSE(is_recomputing());
  {
    const RecomputeScope on(true);
    EXPECT_TRUE(is_recomputing());
    const RecomputeScope off(false);
    EXPECT_FALSE(is_recomputing());
  }
  EXPECT_FALSE(is_recomputing());
}

}  // namespace
}  // namespace melisma
