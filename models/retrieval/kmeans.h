// k-means: centres of a set of vectors.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace melisma {

struct KmeansSettings {
  std::int64_t centres = 1;
  std::int64_t iterations = 10;
  std::int64_t points_per_centre = 256;  // more vectors than this are sampled; 0 = all are used
  std::uint64_t seed = 0;
};

// rows [n, width] float32 -> [centres, width], n >= centres >= 1. Lloyd's algorithm from randomly chosen rows; a centre
// that loses all its rows is put beside the largest one's. `progress` gets fractions in 0 ... 1.
[[nodiscard]] at::Tensor kmeans(const at::Tensor& rows, const KmeansSettings& settings,
                                const std::function<void(double)>& progress = {});

// The nearest centre (squared Euclidean distance) of each row: [n] int64.
[[nodiscard]] at::Tensor nearest_centres(const at::Tensor& rows, const at::Tensor& centres);

}  // namespace melisma
