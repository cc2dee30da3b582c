// How far two sets of feature vectors are apart, whichever belongs to which: Fréchet distance and maximum mean
// discrepancy. Torch-free.
#pragma once
#include <cstdint>
#include <span>

namespace melisma {

// Row-major vectors [n][width].
struct FeatureCloud {
  std::span<const double> values;
  int64_t width = 0;
  [[nodiscard]] int64_t n() const { return width == 0 ? 0 : static_cast<int64_t>(values.size()) / width; }
};

// |mean_a - mean_b|^2 + trace(C_a + C_b - 2 (C_a^1/2 C_b C_a^1/2)^1/2) of the Gaussians fitted to both, covariances
// with divisor n - 1, which may be singular. Named after what the features are: Fréchet audio distance for audio
// embeddings. Throws Error(data) for fewer than two vectors or different widths.
[[nodiscard]] double frechet_distance(const FeatureCloud& a, const FeatureCloud& b);

// Unbiased estimate of the squared maximum mean discrepancy under the kernel exp(-|x - y|^2 / (2 bandwidth^2)); may be
// slightly negative for clouds of one kind. The kernel audio distance (KAD) is 1000 times this. Errors as above.
[[nodiscard]] double squared_mmd(const FeatureCloud& a, const FeatureCloud& b, double bandwidth);

// The median of all distances between two vectors of a cloud: the bandwidth KAD takes, of its reference set.
[[nodiscard]] double median_distance(const FeatureCloud& cloud);

}  // namespace melisma
