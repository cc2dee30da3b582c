#include "models/layers/position_convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace melisma {
namespace {

struct Case {
  std::int64_t positions, planes, kernel, stride;
  double slope;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.positions << " positions of " << c.planes << " planes, kernel " << c.kernel << ", stride " << c.stride
       << ", slope " << c.slope;
}

class PositionConvolutionOf : public ::testing::TestWithParam<Case> {};

// Both ways in double: a difference is one of arithmetic, not of rounding.
TEST_P(PositionConvolutionOf, EqualsTheTwoDimensionalConvolutionAndItsGradients) {
  const auto c = GetParam();
  auto generator = at::detail::createCPUGenerator(3);
  const auto drawn = [&](at::IntArrayRef sizes) {
    return at::randn(sizes, generator, at::TensorOptions().dtype(at::kDouble)).set_requires_grad(true);
  };
  const auto x = drawn({2, 3, c.positions, c.planes});  // [B, in, H, P]
  const auto weight = drawn({4, 3, c.kernel, 1}), bias = drawn({4});
  const auto theirs = at::leaky_relu(at::conv2d(x, weight, bias, {c.stride, 1}, {(c.kernel - 1) / 2, 0}), c.slope);
  const auto weighing = at::randn(theirs.sizes(), generator, theirs.options());
  (theirs * weighing).sum().backward();
  const std::vector<at::Tensor> expected{x.grad().clone(), weight.grad().clone(), bias.grad().clone()};
  for (const auto& t : {x, weight, bias}) t.mutable_grad() = at::Tensor();

  const auto ours = convolve_positions(x.permute({0, 3, 2, 1}), weight.squeeze(3).transpose(1, 2).flatten(1), bias,
                                       {c.kernel, c.stride, c.slope})
                        .permute({0, 3, 2, 1});
  (ours * weighing).sum().backward();
  EXPECT_TRUE(at::allclose(ours, theirs, 1e-12, 1e-12));
  const std::vector<at::Tensor> found{x.grad(), weight.grad(), bias.grad()};
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(at::allclose(found[i], expected[i], 1e-12, 1e-12)) << i;
}

INSTANTIATE_TEST_SUITE_P(Shapes, PositionConvolutionOf,
                         ::testing::Values(Case{40, 2, 5, 3, 0.1}, Case{41, 3, 5, 3, 0.1}, Case{42, 1, 5, 1, 1},
                                           Case{2, 5, 5, 3, 0.1}, Case{1, 7, 5, 1, 0.1}, Case{3, 2, 3, 1, 1},
                                           Case{9, 2, 1, 2, 0.5}));

TEST(PositionConvolution, GivesTheInputItsGradientWhereTheWeightsAreFixed) {
  const auto x = at::ones({1, 1, 6, 1}).set_requires_grad(true);
  convolve_positions(x, at::ones({1, 3}), at::zeros({1}), {.kernel = 3, .stride = 2}).sum().backward();
  EXPECT_TRUE(at::equal(x.grad().flatten(), at::tensor({1.F, 2.F, 1.F, 2.F, 1.F, 1.F}))) << x.grad().flatten();
}

}  // namespace
}  // namespace melisma
