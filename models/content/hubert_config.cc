#include "models/content/hubert_config.h"

namespace melisma {

std::vector<std::int64_t> HubertConfig::rows_of_convolutions(std::int64_t n_samples) const {
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < conv_kernels.size(); ++i) {
    n_samples = n_samples < conv_kernels[i] ? 0 : (n_samples - conv_kernels[i]) / conv_strides[i] + 1;
    rows.push_back(n_samples);
  }
  return rows;
}

std::int64_t HubertConfig::n_frames(std::int64_t n_samples) const { return rows_of_convolutions(n_samples).back(); }

std::int64_t HubertConfig::receptive_field() const {
  std::int64_t samples = 1;
  for (auto i = conv_kernels.size(); i-- > 0;) samples = (samples - 1) * conv_strides[i] + conv_kernels[i];
  return samples;
}

}  // namespace melisma
