#include "models/layers/packed_matrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tools/base/error.h"

namespace melisma {
namespace {

at::Tensor packed_matrix_numbers(std::vector<std::int64_t> shape, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, at::TensorOptions());
}

double largest_error(const at::Tensor& expected, const at::Tensor& got) {
  return expected.numel() == 0 ? 0 : (expected - got).abs().max().item<double>();
}

TEST(PackedMatrix, IsTheProductWithTheTransposedWeight) {
  const auto weight = packed_matrix_numbers({70, 33}, 1);
  const PackedMatrix packed(weight);
  EXPECT_EQ(packed.in(), 33);
  EXPECT_EQ(packed.out(), 70);
  for (const std::int64_t rows : {0, 1, 2, 25, 300}) {
    const auto x = packed_matrix_numbers({rows, 33}, 2), start = packed_matrix_numbers({rows, 70}, 3);
    const auto expected = at::linear(x.to(at::kDouble), weight.to(at::kDouble));
    auto y = at::full({rows, 70}, std::nanf(""));
    packed.multiply(x, y, /*accumulate=*/false);
    EXPECT_LT(largest_error(expected, y), 2e-5) << rows;
    y = start.clone();
    packed.multiply(x, y, /*accumulate=*/true);
    EXPECT_LT(largest_error(expected + start, y), 2e-5) << rows;
  }
}

TEST(PackedMatrix, RowsMayLieApart) {
  const auto weight = packed_matrix_numbers({5, 8}, 1);
  const PackedMatrix packed(weight);
  const auto x = packed_matrix_numbers({12, 16}, 2);
  const auto y = at::zeros({12, 9});
  packed.multiply(x.narrow(1, 3, 8), y.narrow(1, 1, 5), /*accumulate=*/false);
  EXPECT_LT(largest_error(at::linear(x.narrow(1, 3, 8), weight), y.narrow(1, 1, 5)), 1e-5);
  EXPECT_EQ(y.select(1, 0).abs().max().item<float>() + y.narrow(1, 6, 3).abs().max().item<float>(), 0);
  // A single row, whose stride tells nothing.
  const auto row = x.as_strided({1, 8}, {1, 1}), made = at::zeros({1, 5});
  packed.multiply(row, made, /*accumulate=*/false);
  EXPECT_LT(largest_error(at::linear(row, weight), made), 1e-5);
}

TEST(PackedMatrix, ARowDoesNotDependOnItsNeighbours) {
  const PackedMatrix packed(packed_matrix_numbers({64, 96}, 1));
  const auto x = packed_matrix_numbers({200, 96}, 2);
  const auto all = at::empty({200, 64}), some = at::empty({30, 64});
  packed.multiply(x, all, /*accumulate=*/false);
  packed.multiply(x.narrow(0, 50, 30).contiguous(), some, /*accumulate=*/false);
  EXPECT_LT(largest_error(all.narrow(0, 50, 30), some), 1e-5);
}

TEST(PackedMatrix, Bf16RoundsTheFactorsAloneOrIsRefused) {
  const auto weight = packed_matrix_numbers({70, 33}, 1), x = packed_matrix_numbers({20, 33}, 2);
  if (!cpu_multiplies_bf16()) {
    EXPECT_THROW(PackedMatrix(weight, at::kBFloat16), Error);
    GTEST_SKIP() << "this CPU does not multiply bfloat16";
  }
  const auto rounded = [](const at::Tensor& t) { return t.to(at::kBFloat16).to(at::kFloat); };
  const auto y = at::empty({20, 70});
  PackedMatrix(weight, at::kBFloat16).multiply(x, y, /*accumulate=*/false);
  const auto error = largest_error(at::linear(rounded(x), rounded(weight)), y);
  EXPECT_LT(error, 0.1);
  EXPECT_GT(largest_error(at::linear(x, weight), y), 1e-4);
}

}  // namespace
}  // namespace melisma
