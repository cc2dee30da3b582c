#include "models/content/hubert_config.h"

namespace melisma {

std::int64_t HubertConfig::n_frames(std::int64_t n_samples) const {
  for (std::size_t i = 0; i < conv_kernels.size(); ++i) {
    if (n_samples < conv_kernels[i]) return 0;
    n_samples = (n_samples - conv_kernels[i]) / conv_strides[i] + 1;
  }
  return n_samples;
}

std::int64_t HubertConfig::receptive_field() const {
  std::int64_t samples = 1;
  for (auto i = conv_kernels.size(); i-- > 0;) samples = (samples - 1) * conv_strides[i] + conv_kernels[i];
  return samples;
}

}  // namespace melisma
