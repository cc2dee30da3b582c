#include "models/content/halving_convolution.h"

#include <ATen/ATen.h>

#include "data/signal/vector.h"
#include "tools/base/error.h"

namespace melisma {
namespace halving_convolution_detail {
namespace {

// Even rows a, b, c, d of each group -> a - c, b + c, c - b, d - b; `made` holds all first ones, all second ones, ...
MELISMA_CLONES void transform(const float* x, std::int64_t groups, std::int64_t width, float* made) {
  const auto step = groups * width;
  for (std::int64_t group = 0; group < groups; ++group) {
    const auto *a = x + 6 * group * width, *b = a + 2 * width, *c = b + 2 * width, *d = c + 2 * width;
    auto* to = made + group * width;
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) {
      to[i] = a[i] - c[i];
      to[i + step] = b[i] + c[i];
      to[i + 2 * step] = c[i] - b[i];
      to[i + 3 * step] = d[i] - b[i];
    }
  }
}

// The products of a group, added to its three rows.
MELISMA_CLONES void combine(const float* products, std::int64_t groups, std::int64_t width, float* rows) {
  const auto step = groups * width;
  for (std::int64_t group = 0; group < groups; ++group) {
    const auto* from = products + group * width;
    auto *first = rows + 3 * group * width, *second = first + width, *third = second + width;
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) {
      const auto sum = from[i + step], difference = from[i + 2 * step];
      first[i] += from[i] + (sum + difference);
      second[i] += sum - difference;
      third[i] += from[i + 3 * step] + (sum + difference);
    }
  }
}

}  // namespace
}  // namespace halving_convolution_detail

at::Tensor room_for(at::Tensor& kept, std::int64_t rows, std::int64_t width) {
  if (!kept.defined() || kept.size(0) < rows || kept.size(1) != width) kept = at::empty({rows, width}, at::kFloat);
  return kept.narrow(0, 0, rows);
}

HalvingConvolution::HalvingConvolution(const at::Tensor& weight, const at::Tensor& bias) : bias_(bias) {
  if (weight.size(2) != 3) fail(ErrorKind::internal, "a kernel of {} taps where 3 are wanted", weight.size(2));
  const auto tap = [&](std::int64_t i) { return weight.select(2, i); };
  odd_ = PackedMatrix(tap(1).contiguous());
  first_ = PackedMatrix(tap(0).contiguous());
  sum_ = PackedMatrix((tap(0) + tap(2)) / 2);
  difference_ = PackedMatrix((tap(0) - tap(2)) / 2);
  last_ = PackedMatrix(tap(2).contiguous());
}

at::Tensor HalvingConvolution::operator()(const at::Tensor& x, Scratch& scratch) const {
  using namespace halving_convolution_detail;
  const auto groups = x.size(0) / (2 * kGroup), in = odd_.in(), out = odd_.out();
  if (x.size(0) != 2 * kGroup * groups + 1 || !x.is_contiguous()) {
    fail(ErrorKind::internal, "{} rows are not 6 for each group and one more", x.size(0));
  }
  auto rows = room_for(scratch.rows, kGroup * groups, out);
  if (bias_.defined()) rows.copy_(bias_.expand_as(rows));
  odd_.multiply(x.as_strided({kGroup * groups, in}, {2 * in, 1}, x.storage_offset() + in), rows, bias_.defined());
  const auto transformed = room_for(scratch.transformed, 4 * groups, in);
  transform(x.const_data_ptr<float>(), groups, in, transformed.mutable_data_ptr<float>());
  const auto products = room_for(scratch.products, 4 * groups, out);
  std::int64_t first = 0;
  for (const auto* part : {&first_, &sum_, &difference_, &last_}) {
    part->multiply(transformed.narrow(0, first, groups), products.narrow(0, first, groups), /*accumulate=*/false);
    first += groups;
  }
  combine(products.const_data_ptr<float>(), groups, out, rows.mutable_data_ptr<float>());
  return rows;
}

}  // namespace melisma
