#include "models/layers/packed_conv.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

at::Tensor numbers(const char* name, at::IntArrayRef shape) {
  auto values = testing::formula_numbers(name, c10::multiply_integers(shape));
  return at::from_blob(values.data(), shape, at::kDouble).to(at::kFloat);
}

float difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().max().item<float>();
}

// Runs the checks with oneDNN's kernels and, as on a machine without them, through LibTorch's own.
template <class Check>
void with_and_without_packing(const Check& check) {
  check();
  at::globalContext().setUserEnabledMkldnn(false);
  check();
  at::globalContext().setUserEnabledMkldnn(true);
}

TEST(PackedConv, EqualsTheConvolutionItStandsFor) {
  const auto x = numbers("x", {2, 3, 9, 14}), weight = numbers("w", {5, 3, 3, 4}), bias = numbers("b", {5});
  const Conv2dOptions options{.kernel_height = 3, .kernel_width = 4, .stride_width = 2, .padding_height = 1};
  const auto expected = at::conv2d(x, weight, bias, {1, 2}, at::IntArrayRef{1, 0});
  with_and_without_packing([&] {
    const PackedConv2d plain(weight, bias, options), rectified(weight, bias, options, PackedActivation::relu);
    EXPECT_LT(difference(plain(x), expected), 1e-5);
    EXPECT_LT(difference(rectified(x), expected.relu()), 1e-5);
    EXPECT_LT(difference(PackedConv2d(weight, {}, options)(x), expected - bias.view({-1, 1, 1})), 1e-5);
  });
}

TEST(PackedConv, AddsItselfToASum) {
  const auto x = numbers("x", {1, 4, 6, 7}), weight = numbers("w", {2, 4, 1, 1}), bias = numbers("b", {2});
  const auto before = numbers("sum", {1, 2, 6, 7});
  with_and_without_packing([&] {
    auto sum = before.clone(at::MemoryFormat::ChannelsLast);
    PackedConv2d(weight, bias, {}).add_to(sum, x);
    EXPECT_LT(difference(sum, before + at::conv2d(x, weight, bias)), 1e-5);
  });
}

TEST(PackedConv, TransposesAsTheConvolutionItStandsFor) {
  const auto x = numbers("x", {1, 4, 5, 6}), weight = numbers("w", {4, 3, 3, 3}), bias = numbers("b", {3});
  const auto expected = at::conv_transpose2d(x, weight, bias, {2, 2}, {1, 1}, {1, 1});
  with_and_without_packing([&] {
    const PackedConvTranspose2d packed(weight, bias,
                                       {.stride_height = 2,
                                        .stride_width = 2,
                                        .padding_height = 1,
                                        .padding_width = 1,
                                        .output_padding_height = 1,
                                        .output_padding_width = 1},
                                       PackedActivation::relu);
    EXPECT_LT(difference(packed(x), expected.relu()), 1e-5);
  });
}

TEST(PackedConv, RefusesAWeightOfAnotherKernel) { EXPECT_THROW(PackedConv2d(at::zeros({1, 1, 3, 3}), {}, {}), Error); }

TEST(BatchNorm, BecomesScaleAndShift) {
  const auto x = numbers("x", {2, 3, 4, 4}), weight = numbers("w", {3}), bias = numbers("b", {3});
  const auto mean = numbers("m", {3}), variance = numbers("v", {3}).abs() + 0.1;
  const auto expected = at::batch_norm(x, weight, bias, mean, variance, false, 0, 1e-3, false);
  const auto [scale, shift] = batch_norm_affine(weight, bias, mean, variance, 1e-3);
  EXPECT_LT(difference(x * scale.view({-1, 1, 1}) + shift.view({-1, 1, 1}), expected), 1e-6);
}

}  // namespace
}  // namespace melisma
