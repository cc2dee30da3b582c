// The estimate of the fixtures of golden/metrics/spectral: a stereo signal quieter by side and smoothed.
#pragma once
#include <cstddef>
#include <vector>

namespace melisma::testing {

inline std::vector<std::vector<double>> degraded(std::vector<std::vector<double>> channels) {
  const double gains[] = {.8, .5};
  for (std::size_t c = 0; c < channels.size(); ++c) {
    for (double& x : channels[c]) x *= gains[c];
    const auto scaled = channels[c];
    for (std::size_t n = 1; n < scaled.size(); ++n) channels[c][n] = (scaled[n] + scaled[n - 1]) / 2;
  }
  return channels;
}

}  // namespace melisma::testing
