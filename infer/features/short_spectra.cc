#include "infer/features/short_spectra.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "data/signal/stft.h"

namespace melisma {

at::Tensor short_spectra(std::span<const float> wave_16k, std::int64_t first, std::int64_t count, std::int64_t stride) {
  const auto n = static_cast<std::int64_t>(wave_16k.size());
  const auto hop = stride * kFeatureHopSamples;
  auto piece = at::zeros({(count - 1) * hop + kShortTransform}, at::kFloat);
  const auto offset = first * kFeatureHopSamples - (kShortTransform - kFeatureHopSamples) / 2;
  auto* x = piece.data_ptr<float>();
  for (auto k = std::max<std::int64_t>(0, offset); k < std::min(n, offset + piece.size(0)); ++k) {
    const auto sample = wave_16k[static_cast<std::size_t>(k)];
    x[k - offset] = std::isfinite(sample) ? sample : 0;
  }
  const auto spectrum =
      stft(piece, {.n_fft = kShortTransform, .hop = hop, .window = kShortWindow, .padding = Padding::none});
  return power(spectrum).t();  // [count, bins], contiguous
}

}  // namespace melisma
