#include "models/rvc/decoder.h"

#include <ATen/ATen.h>

#include "models/layers/recompute.h"
#include "models/rvc/hifigan_decoder.h"
#include "models/rvc/refinegan_decoder.h"
#include "tools/base/error.h"

namespace melisma {

const SourceModule& Decoder::source() const {
  if (!source_) fail(ErrorKind::internal, "this decoder has no f0 source");
  return *source_;
}

Owned<Decoder> make_decoder(const RvcConfig& config, bool weight_norm) {
  if (config.vocoder == "refinegan") return std::make_unique<RefineGanDecoder>(config, weight_norm);
  return std::make_unique<HifiganDecoder>(config, weight_norm);
}

ResidualBlock::ResidualBlock(std::int64_t channels, std::int64_t kernel, const std::vector<std::int64_t>& dilations,
                             const ResidualBlockOptions& options)
    : slope_(options.slope) {
  const auto add = [&](int half, std::size_t index, std::int64_t dilation) {
    const auto number = std::to_string(index), part = std::to_string(half);
    return make_child<Conv1d>(options.is_paired ? "layers." + number + ".conv" + part : "convs" + part + "." + number,
                              channels, channels,
                              ConvOptions{.kernel = kernel,
                                          .padding = (kernel - 1) * dilation / 2,
                                          .dilation = dilation,
                                          .weight_norm = options.weight_norm});
  };
  for (std::size_t i = 0; i < dilations.size(); ++i) {
    dilated_.push_back(add(1, i, dilations[i]));
    if (options.is_paired) plain_.push_back(add(2, i, 1));
  }
  for (std::size_t i = 0; i < dilations.size() && !options.is_paired; ++i) plain_.push_back(add(2, i, 1));
}

at::Tensor ResidualBlock::operator()(const at::Tensor& x) const {
  if (!is_recomputing()) return refined(x);
  return recomputed([this](const at::Tensor& own) { return refined(own); }, x);
}

at::Tensor ResidualBlock::refined(at::Tensor x) const {
  for (std::size_t i = 0; i < dilated_.size(); ++i) {
    auto inner = (*dilated_[i])(at::leaky_relu(x, slope_));
    x = (*plain_[i])(at::leaky_relu_(inner, slope_)) + x;
  }
  return x;
}

std::int64_t ResidualBlock::reach(std::int64_t kernel, const std::vector<std::int64_t>& dilations) {
  std::int64_t taps = 0;
  for (const auto dilation : dilations) taps += dilation + 1;
  return (kernel - 1) / 2 * taps;
}

}  // namespace melisma
