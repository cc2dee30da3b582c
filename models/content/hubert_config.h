// The shape of a HuBERT encoder and which of its layers is wanted. Torch-free.
#pragma once
#include <cstdint>
#include <vector>

namespace melisma {

// Sizes of HuBERT "base" and its relatives: ContentVec, spin, and the RVC tools' Chinese, Japanese and Korean encoders.
struct HubertConfig {
  // Convolutions from samples to frames: 400 samples see one frame, the next begins 320 samples later.
  std::vector<std::int64_t> conv_channels = std::vector<std::int64_t>(7, 512);
  std::vector<std::int64_t> conv_kernels{10, 3, 3, 3, 3, 2, 2};
  std::vector<std::int64_t> conv_strides{5, 2, 2, 2, 2, 2, 2};
  bool conv_bias = false;
  // The transformer, normalised after each part.
  std::int64_t hidden = 768, n_layers = 12, n_heads = 12, intermediate = 3072;
  std::int64_t position_kernel = 128, position_groups = 16;
  std::int64_t projection = 256;  // width of final_proj; 0 = the file has none
  double layer_norm_eps = 1e-5;
  bool operator==(const HubertConfig&) const = default;

  // Frames that n samples at 16 kHz give: none below 400 samples with the sizes above.
  [[nodiscard]] std::int64_t n_frames(std::int64_t n_samples) const;
  // Rows that each convolution makes of so many samples; the last number is n_frames.
  [[nodiscard]] std::vector<std::int64_t> rows_of_convolutions(std::int64_t n_samples) const;
  // Samples that the first frame sees.
  [[nodiscard]] std::int64_t receptive_field() const;
};

// A hidden state, 1 ... n_layers (0 = what enters the first layer), and whether final_proj follows.
struct HubertOutput {
  std::int64_t layer = 12;
  bool projection = false;
  bool operator==(const HubertOutput&) const = default;
};

}  // namespace melisma
