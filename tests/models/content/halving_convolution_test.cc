#include "models/content/halving_convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tools/base/error.h"
#include "tools/base/seed.h"

namespace melisma {
namespace {

at::Tensor drawn(at::IntArrayRef shape, std::string_view name) {
  auto generator = at::detail::createCPUGenerator(seed_of(7, name, {}));
  return at::randn(shape, generator, at::TensorOptions().dtype(at::kFloat));
}

// The plain sum in double precision: x [rows, in] -> [outputs, out].
at::Tensor plain(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::conv1d(x.t().unsqueeze(0).to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble), 2)[0].t();
}

TEST(HalvingConvolution, IsTheConvolutionOfKernelThreeAndStrideTwo) {
  for (const std::int64_t groups : {1, 2, 17}) {
    const auto weight = drawn({40, 24, 3}, "weight"), bias = drawn({40}, "bias"), x = drawn({6 * groups + 1, 24}, "x");
    HalvingConvolution::Scratch scratch;
    for (const auto& with_bias : {at::Tensor(), bias}) {
      const auto made = HalvingConvolution(weight, with_bias)(x, scratch);
      const auto expected = plain(x, weight, with_bias.defined() ? with_bias : at::zeros({40}));
      ASSERT_EQ(made.sizes(), expected.sizes());
      EXPECT_LT((made - expected).abs().max().item<double>(), 2e-5) << groups;  // sums of 72 terms of size 1
    }
  }
}

TEST(HalvingConvolution, AGroupDoesNotDependOnThoseBesideIt) {
  const auto weight = drawn({32, 16, 3}, "weight"), x = drawn({6 * 9 + 1, 16}, "x");
  const HalvingConvolution convolution(weight, {});
  HalvingConvolution::Scratch scratch;
  const auto all = convolution(x, scratch).clone();
  const auto some = convolution(x.narrow(0, 6 * 4, 13).contiguous(), scratch);
  EXPECT_TRUE(at::equal(all.narrow(0, 12, 6), some));
}

TEST(HalvingConvolution, RefusesRowsThatAreNotWholeGroups) {
  HalvingConvolution::Scratch scratch;
  EXPECT_THROW((void)HalvingConvolution(drawn({8, 8, 3}, "weight"), {})(drawn({12, 8}, "x"), scratch), Error);
  EXPECT_THROW((void)HalvingConvolution(drawn({8, 8, 2}, "weight"), {}), Error);
}

}  // namespace
}  // namespace melisma
