#include "data/augment/spectrogram_masks.h"

#include <algorithm>
#include <cmath>

namespace melisma {

std::int64_t longest_mask(std::int64_t size, std::int64_t longest, double share) {
  if (share >= 1) return longest;
  return std::min(longest, static_cast<std::int64_t>(std::floor(static_cast<double>(size) * share)));
}

SpectrogramMask mask_of_draws(float u1, float u2, std::int64_t size, std::int64_t longest, double share) {
  const auto most = longest_mask(size, longest, share);
  if (most < 1) return {};
  const float width = u1 * static_cast<float>(most);
  const float start = u2 * (static_cast<float>(size) - width);
  return {static_cast<std::int64_t>(std::floor(start)), static_cast<std::int64_t>(std::floor(width))};
}

void mask_rows(std::span<float> values, std::int64_t width, const SpectrogramMask& mask, float fill) {
  const auto first = static_cast<std::size_t>(mask.start * width);
  std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(first), mask.width * width, fill);
}

void mask_columns(std::span<float> values, std::int64_t width, const SpectrogramMask& mask, float fill) {
  for (std::size_t row = 0; row < values.size(); row += static_cast<std::size_t>(width)) {
    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(row) + mask.start, mask.width, fill);
  }
}

void mask_spectrogram(std::span<float> values, std::int64_t n_bands, const SpectrogramMaskConfig& config,
                      RandomSource& random) {
  if (values.empty()) return;
  double sum = 0;
  for (const double value : values) sum += value;
  const auto fill = config.fill_with_mean ? static_cast<float>(sum / static_cast<double>(values.size())) : 0.0F;
  const auto n_frames = std::ssize(values) / n_bands;
  const auto draw = [&](std::int64_t size, std::int64_t longest, double share) {
    // 24 bits, so that the float stays below 1.
    const auto uniform = [&] { return static_cast<float>(random.next() >> 40) * 0x1p-24F; };
    const float u1 = uniform(), u2 = uniform();
    return mask_of_draws(u1, u2, size, std::min(longest, size), share);
  };
  for (std::int64_t i = 0; i < config.n_time_masks; ++i) {
    mask_rows(values, n_bands, draw(n_frames, config.time_frames, config.time_share), fill);
  }
  for (std::int64_t i = 0; i < config.n_frequency_masks; ++i) {
    mask_columns(values, n_bands, draw(n_bands, config.frequency_bands, 1), fill);
  }
}

}  // namespace melisma
