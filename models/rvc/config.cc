#include "models/rvc/config.h"

#include <numeric>

#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

struct SpectrumSizes {
  std::int64_t sample_rate_hz, n_fft, hop, n_mels, segment_frames;
};

RvcConfig rvc_sized(const SpectrumSizes& sizes, std::int64_t content_channels, std::vector<std::int64_t> rates,
                    std::vector<std::int64_t> kernels) {
  RvcConfig config;
  config.sample_rate_hz = sizes.sample_rate_hz;
  config.n_fft = config.window = sizes.n_fft;
  config.hop = sizes.hop;
  config.n_mels = sizes.n_mels;
  config.segment_frames = sizes.segment_frames;
  config.content_channels = content_channels;
  config.upsample_rates = std::move(rates);
  config.upsample_kernels = std::move(kernels);
  return config;
}

constexpr SpectrumSizes kAt24k{24000, 1024, 240, 80, 36};
constexpr SpectrumSizes kAt32k{32000, 1024, 320, 80, 40};
constexpr SpectrumSizes kAt40k{40000, 2048, 400, 125, 32};
constexpr SpectrumSizes kAt48kV1{48000, 2048, 480, 128, 24};
constexpr SpectrumSizes kAt48kV2{48000, 2048, 480, 128, 36};

}  // namespace

RvcConfig rvc_v1_32k() { return rvc_sized(kAt32k, 256, {10, 4, 2, 2, 2}, {16, 16, 4, 4, 4}); }
RvcConfig rvc_v1_40k() { return rvc_sized(kAt40k, 256, {10, 10, 2, 2}, {16, 16, 4, 4}); }
RvcConfig rvc_v1_48k() { return rvc_sized(kAt48kV1, 256, {10, 6, 2, 2, 2}, {16, 16, 4, 4, 4}); }
RvcConfig rvc_v2_24k() { return rvc_sized(kAt24k, 768, {10, 6, 2, 2}, {20, 12, 4, 4}); }
RvcConfig rvc_v2_32k() { return rvc_sized(kAt32k, 768, {10, 8, 2, 2}, {20, 16, 4, 4}); }
RvcConfig rvc_v2_40k() { return rvc_sized(kAt40k, 768, {10, 10, 2, 2}, {16, 16, 4, 4}); }
RvcConfig rvc_v2_48k() { return rvc_sized(kAt48kV2, 768, {12, 10, 2, 2}, {24, 20, 4, 4}); }

const RvcVocoder& vocoder_of(const RvcConfig& config) { return find_row(kRvcVocoders, config.vocoder, "vocoder"); }

std::int64_t decoder_channels(const RvcConfig& config, std::size_t stage) {
  return config.upsample_initial_channels >> (stage + 1);
}

void check_config(const RvcConfig& config) {
  const auto& rates = config.upsample_rates;
  const auto product = std::accumulate(rates.begin(), rates.end(), std::int64_t{1}, std::multiplies<>());
  if (product != config.hop) {
    fail(ErrorKind::config, "upsample_rates multiply to {} samples a frame but hop is {}", product, config.hop);
  }
  if (rates.size() != config.upsample_kernels.size()) {
    fail(ErrorKind::config, "upsample_rates has {} stages but upsample_kernels has {}", rates.size(),
         config.upsample_kernels.size());
  }
  for (std::size_t stage = 0; stage < rates.size(); ++stage) {
    if (config.upsample_kernels[stage] < rates[stage]) {
      fail(ErrorKind::config, "upsample_kernels[{}] = {} is smaller than its rate {}: samples would be left out", stage,
           config.upsample_kernels[stage], rates[stage]);
    }
  }
  if (rates.empty() || decoder_channels(config, rates.size() - 1) < 1) {
    fail(ErrorKind::config, "upsample_initial_channels = {} is halved to nothing by {} stages",
         config.upsample_initial_channels, rates.size());
  }
  if (vocoder_of(config).name != "hifigan" && !config.use_f0) {
    fail(ErrorKind::config, "the vocoder '{}' needs a pitch curve: use_f0 cannot be false", config.vocoder);
  }
  // RefineGAN's pyramid has half the width at the frame rate, and halves it towards the audio rate.
  if (config.vocoder == "refinegan" && config.upsample_initial_channels % (2 << rates.size()) != 0) {
    fail(ErrorKind::config, "upsample_initial_channels = {} is not a multiple of {}, as refinegan with {} stages needs",
         config.upsample_initial_channels, 2 << rates.size(), rates.size());
  }
  if (config.hop * 100 != config.sample_rate_hz) {
    fail(ErrorKind::config, "hop = {} at {} Hz is not 100 frames a second; features have 100", config.hop,
         config.sample_rate_hz);
  }
  if (config.inter_channels % 2 != 0) {
    fail(ErrorKind::config, "inter_channels = {} must be even: the flow works on halves", config.inter_channels);
  }
  if (config.hidden_channels % config.n_heads != 0) {
    fail(ErrorKind::config, "hidden_channels = {} is not a multiple of n_heads = {}", config.hidden_channels,
         config.n_heads);
  }
  if (config.resblock_dilations.size() != 3 || config.resblock_kernels.empty()) {
    fail(ErrorKind::config, "a residual block has three dilations, and a stage at least one block");
  }
  for (const auto kernel : config.resblock_kernels) {
    if (kernel % 2 == 0) fail(ErrorKind::config, "resblock_kernels has {}: kernels are odd", kernel);
  }
}

}  // namespace melisma
