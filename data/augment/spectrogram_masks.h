// SpecAugment (Park et al. 2019, arXiv:1904.08779): bands of time or frequency of a spectrogram put out.
#pragma once
#include <cstdint>
#include <span>
#include <tuple>

#include "tools/base/seed.h"
#include "tools/config/fields.h"

namespace melisma {

// Columns [start, start + width) of an axis.
struct SpectrogramMask {
  std::int64_t start = 0, width = 0;
};

// The longest mask on an axis of `size`: `longest`, or `share` of the axis where that is less. A mask is at most one
// shorter than this; below 1 there is none.
[[nodiscard]] std::int64_t longest_mask(std::int64_t size, std::int64_t longest, double share);

// The mask that the draws u1 (its width) and u2 (its place), in [0, 1), choose; in float arithmetic, as torchaudio's
// mask_along_axis: width = floor(u1 m), start = floor(u2 (size - u1 m)), m = longest_mask().
[[nodiscard]] SpectrogramMask mask_of_draws(float u1, float u2, std::int64_t size, std::int64_t longest,
                                            double share = 1);

// values [rows][width]: the columns, or the rows, of a mask set to `fill`.
void mask_rows(std::span<float> values, std::int64_t width, const SpectrogramMask& mask, float fill);
void mask_columns(std::span<float> values, std::int64_t width, const SpectrogramMask& mask, float fill);

struct SpectrogramMaskConfig {
  std::int64_t n_time_masks = 2;
  std::int64_t time_frames = 40;
  double time_share = 0.1;
  std::int64_t n_frequency_masks = 2;
  std::int64_t frequency_bands = 16;
  bool fill_with_mean = true;
  static constexpr auto fields() {
    using C = SpectrogramMaskConfig;
    return std::tuple{
        field("n_time_masks", &C::n_time_masks, "spans of time put out").range(0, 100),
        field("time_frames", &C::time_frames, "each is shorter than this").unit("frames").range(0, 100000),
        field("time_share", &C::time_share, "and not more than this share of the excerpt").range(0, 1),
        field("n_frequency_masks", &C::n_frequency_masks, "bands of frequency put out").range(0, 100),
        field("frequency_bands", &C::frequency_bands, "each is narrower than this").unit("bands").range(0, 1000),
        field("fill_with_mean", &C::fill_with_mean, "with the mean of the spectrogram as it was; otherwise with zeros"),
    };
  }
};

// values [frames][bands]: masks of time first, then of frequency, drawn from `random`.
void mask_spectrogram(std::span<float> values, std::int64_t n_bands, const SpectrogramMaskConfig& config,
                      RandomSource& random);

}  // namespace melisma
