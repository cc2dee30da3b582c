// A stereo recording in double precision, as matching works on it.
#pragma once
#include <cstdint>
#include <vector>

namespace melisma {

struct StereoSignal {
  std::vector<double> left, right;  // equally long
  std::int64_t sample_rate_hz = 0;
  [[nodiscard]] std::int64_t n_frames() const { return static_cast<std::int64_t>(left.size()); }
};

}  // namespace melisma
