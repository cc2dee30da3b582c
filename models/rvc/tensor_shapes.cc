#include "models/rvc/tensor_shapes.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>

#include "tools/base/error.h"

namespace melisma {
namespace tensor_shapes_detail {
namespace {

constexpr std::int64_t kPitchBins = 256, kRelativePositions = 21, kWaveNetKernel = 5, kFlowLayers = 3;

// Adds shapes under names, in the order of the networks; the tensors are one zero, expanded.
class ShapeList {
 public:
  explicit ShapeList(bool weight_norm) : weight_norm_(weight_norm) {}
  StateDict shapes;

  void tensor(const std::string& name, at::IntArrayRef shape) { shapes.add(name, zero_.expand(shape)); }

  // Linear, convolution: weight [out, in, ...] and bias [out].
  void layer(const std::string& name, at::IntArrayRef shape, bool bias = true) {
    tensor(name + ".weight", shape);
    if (bias) tensor(name + ".bias", shape.front());
  }

  // The same under weight norm; n_bias outputs (a transposed convolution's are its second dimension), 0 = no bias.
  void normed(const std::string& name, at::IntArrayRef shape, std::int64_t n_bias) {
    if (!weight_norm_) tensor(name + ".weight", shape);
    if (n_bias > 0) tensor(name + ".bias", n_bias);
    if (!weight_norm_) return;
    tensor(name + ".weight_g", {shape[0], 1, 1});
    tensor(name + ".weight_v", shape);
  }

  // normed() or layer().
  void normed_if(bool is_normed, const std::string& name, at::IntArrayRef shape, std::int64_t n_bias) {
    is_normed ? normed(name, shape, n_bias) : layer(name, shape, n_bias > 0);
  }

  // Gated convolutions: `width` channels, `layers` of them.
  void wave_net(const std::string& name, std::int64_t width, std::int64_t layers, std::int64_t speaker) {
    for (std::int64_t i = 0; i < layers; ++i) {
      normed(fmt::format("{}.in_layers.{}", name, i), {2 * width, width, kWaveNetKernel}, 2 * width);
    }
    for (std::int64_t i = 0; i < layers; ++i) {
      const auto out = i + 1 < layers ? 2 * width : width;
      normed(fmt::format("{}.res_skip_layers.{}", name, i), {out, width, 1}, out);
    }
    normed(name + ".cond_layer", {2 * width * layers, speaker, 1}, 2 * width * layers);
  }

 private:
  bool weight_norm_;
  at::Tensor zero_ = at::zeros({});
};

void add_text_encoder(ShapeList& list, const RvcConfig& c) {
  const auto h = c.hidden_channels;
  list.layer("enc_p.emb_phone", {h, c.content_channels});
  if (c.use_f0) list.tensor("enc_p.emb_pitch.weight", {kPitchBins, h});
  for (std::int64_t i = 0; i < c.n_layers; ++i) {
    const auto attention = fmt::format("enc_p.encoder.attn_layers.{}", i);
    for (const auto* part : {".emb_rel_k", ".emb_rel_v"}) {
      list.tensor(attention + part, {1, kRelativePositions, h / c.n_heads});
    }
    for (const auto* part : {".conv_q", ".conv_k", ".conv_v", ".conv_o"}) list.layer(attention + part, {h, h, 1});
  }
  const auto add_norms = [&](std::string_view norm) {
    for (std::int64_t i = 0; i < c.n_layers; ++i) {
      list.tensor(fmt::format("enc_p.encoder.{}.{}.gamma", norm, i), h);
      list.tensor(fmt::format("enc_p.encoder.{}.{}.beta", norm, i), h);
    }
  };
  add_norms("norm_layers_1");
  for (std::int64_t i = 0; i < c.n_layers; ++i) {
    const auto forward = fmt::format("enc_p.encoder.ffn_layers.{}", i);
    list.layer(forward + ".conv_1", {c.filter_channels, h, c.kernel_size});
    list.layer(forward + ".conv_2", {h, c.filter_channels, c.kernel_size});
  }
  add_norms("norm_layers_2");
  list.layer("enc_p.proj", {2 * c.inter_channels, h, 1});
}

void add_residual_block(ShapeList& list, const std::string& name, std::int64_t channels, std::int64_t kernel,
                        const RvcConfig& c) {
  const auto n = c.resblock_dilations.size();
  for (std::size_t i = 0; i < 2 * n; ++i) {
    list.normed(c.vocoder == "mrf" ? fmt::format("{}.layers.{}.conv{}", name, i / 2, i % 2 + 1)
                                   : fmt::format("{}.convs{}.{}", name, i / n + 1, i % n),
                {channels, channels, kernel}, channels);
  }
}

// What the parts of "hifigan" and "mrf" are called.
std::string up_name(bool is_mrf, std::size_t stage) {
  return fmt::format("dec.{}.{}", is_mrf ? "upsamples" : "ups", stage);
}
std::string block_name(bool is_mrf, std::size_t stage, std::size_t block, std::size_t n_blocks) {
  return is_mrf ? fmt::format("dec.mrfs.{}.{}", stage, block)
                : fmt::format("dec.resblocks.{}", stage * n_blocks + block);
}

void add_hifigan(ShapeList& list, const RvcConfig& c) {
  const auto initial = c.upsample_initial_channels;
  const bool is_mrf = c.vocoder == "mrf";
  if (c.use_f0) list.layer("dec.m_source.l_linear", {1, vocoder_of(c).sines});
  list.normed_if(is_mrf, "dec.conv_pre", {initial, c.inter_channels, 7}, initial);
  const auto n_stages = c.upsample_rates.size(), n_blocks = c.resblock_kernels.size();
  for (std::size_t stage = 0; stage < n_stages; ++stage) {
    const auto out = decoder_channels(c, stage);
    list.normed(up_name(is_mrf, stage), {initial >> stage, out, c.upsample_kernels[stage]}, out);
  }
  auto remaining = c.hop;  // samples the output of a stage still becomes
  for (std::size_t stage = 0; c.use_f0 && stage < n_stages; ++stage) {
    remaining /= c.upsample_rates[stage];
    const auto kernel = remaining > 1 ? 2 * remaining - remaining % 2 : 1;
    list.layer(fmt::format("dec.noise_convs.{}", stage), {decoder_channels(c, stage), 1, kernel});
  }
  for (std::size_t i = 0; i < n_stages * n_blocks; ++i) {
    add_residual_block(list, block_name(is_mrf, i / n_blocks, i % n_blocks, n_blocks),
                       decoder_channels(c, i / n_blocks), c.resblock_kernels[i % n_blocks], c);
  }
  list.normed_if(is_mrf, "dec.conv_post", {1, decoder_channels(c, n_stages - 1), 7}, is_mrf ? 1 : 0);
  list.layer("dec.cond", {initial, c.speaker_channels, 1});
}

void add_refinegan(ShapeList& list, const RvcConfig& c) {
  const auto half = c.upsample_initial_channels / 2;
  const auto n_stages = c.upsample_rates.size();
  list.tensor("dec.m_source.merge.0.weight", {1, vocoder_of(c).sines});
  auto channels = half >> n_stages;
  list.normed("dec.pre_conv", {channels, 1, 7}, channels);
  for (std::size_t i = 0; i < n_stages; ++i, channels *= 2) {
    list.normed(fmt::format("dec.downsample_blocks.{}", i), {2 * channels, channels, 7}, 2 * channels);
  }
  list.normed("dec.mel_conv", {half, c.inter_channels, 7}, half);
  list.layer("dec.cond", {half, c.speaker_channels, 1});
  for (std::size_t stage = 0; stage < n_stages; ++stage) {
    const auto out = decoder_channels(c, stage);
    const auto name = fmt::format("dec.upsample_conv_blocks.{}", stage);
    list.layer(name + ".input_conv", {out, 2 * out + out / 2, 7});
    for (std::size_t block = 0; block < c.resblock_kernels.size(); ++block) {
      const auto branch = fmt::format("{}.blocks.{}", name, block);
      list.tensor(branch + ".0.weight", out);
      add_residual_block(list, branch + ".1", out, c.resblock_kernels[block], c);
      list.tensor(branch + ".2.weight", out);
    }
  }
  list.normed("dec.conv_post", {1, decoder_channels(c, n_stages - 1), 7}, 0);
}

// Reads sizes off the tensors of a file.
class ShapeReader {
 public:
  explicit ShapeReader(const StateDict& weights) : weights_(weights) {}

  [[nodiscard]] bool has(const std::string& name) const { return weights_.contains(name); }

  // Size of dimension `d` of a tensor with `rank` dimensions; X.weight stands for X.weight_v too.
  [[nodiscard]] std::int64_t size(const std::string& name, std::int64_t rank, std::int64_t d) const {
    const auto& found = has(name) ? weights_.at(name) : weights_.at(name + "_v");
    if (found.dim() != rank || found.numel() == 0) {
      fail(ErrorKind::checkpoint, "'{}' is [{}]; that is not the weight of an RVC voice", name,
           fmt::join(found.sizes(), ","));
    }
    return found.size(d);
  }

  // How many of <before>0<after>, <before>1<after>, ... there are.
  [[nodiscard]] std::int64_t count(std::string_view before, std::string_view after) const {
    std::int64_t n = 0;
    while (has(fmt::format("{}{}{}", before, n, after)) || has(fmt::format("{}{}{}_v", before, n, after))) ++n;
    return n;
  }

 private:
  const StateDict& weights_;
};

// The tools' configuration with these decoder kernels: sizes of sound and rates come from it.
RvcConfig configuration_with_kernels(const std::vector<std::int64_t>& kernels,
                                     const std::vector<std::int64_t>& source_kernels) {
  for (const auto& row : kRvcConfigs) {
    const auto config = row.make();
    if (config.upsample_kernels != kernels) continue;
    std::vector<std::int64_t> expected;
    auto remaining = config.hop;
    for (const auto rate : config.upsample_rates) {
      remaining /= rate;
      expected.push_back(remaining > 1 ? 2 * remaining : 1);
    }
    if (source_kernels.empty() || expected == source_kernels) return config;
  }
  fail(ErrorKind::checkpoint,
       "its decoder has upsampling kernels [{}] and source kernels [{}], which no RVC configuration has",
       fmt::join(kernels, ","), fmt::join(source_kernels, ","));
}

}  // namespace
}  // namespace tensor_shapes_detail

StateDict rvc_tensor_shapes(const RvcConfig& c, const SynthesizerForm& form) {
  using namespace tensor_shapes_detail;
  ShapeList list(form.weight_norm);
  add_text_encoder(list, c);
  c.vocoder == "refinegan" ? add_refinegan(list, c) : add_hifigan(list, c);
  if (form.posterior) {
    list.layer("enc_q.pre", {c.hidden_channels, c.spectrum_bins(), 1});
    list.wave_net("enc_q.enc", c.hidden_channels, c.posterior_layers, c.speaker_channels);
    list.layer("enc_q.proj", {2 * c.inter_channels, c.hidden_channels, 1});
  }
  for (const int i : {0, 2, 4, 6}) {
    const auto flow = fmt::format("flow.flows.{}", i);
    list.layer(flow + ".pre", {c.hidden_channels, c.inter_channels / 2, 1});
    list.wave_net(flow + ".enc", c.hidden_channels, kFlowLayers, c.speaker_channels);
    list.layer(flow + ".post", {c.inter_channels / 2, c.hidden_channels, 1});
  }
  list.tensor("emb_g.weight", {c.speakers, c.speaker_channels});
  return std::move(list.shapes);
}

std::string_view rvc_vocoder_of_shapes(const StateDict& weights) {
  const auto any = [&](std::string_view prefix) {
    return std::any_of(weights.begin(), weights.end(),
                       [&](const auto& item) { return item.first.starts_with(prefix); });
  };
  if (any("dec.upsample_conv_blocks.")) return "refinegan";
  if (any("dec.mrfs.")) return "mrf";
  return any("dec.resblocks.") ? "hifigan" : "";
}

namespace tensor_shapes_detail {
namespace {

// The tools' configuration of that rate with so many stages.
RvcConfig configuration_at(std::int64_t sample_rate_hz, std::int64_t n_stages) {
  for (const auto& row : kRvcConfigs) {
    auto config = row.make();
    if (config.sample_rate_hz == sample_rate_hz && std::ssize(config.upsample_rates) == n_stages) return config;
  }
  fail(ErrorKind::checkpoint, "no RVC configuration is at {} Hz with {} upsampling stages", sample_rate_hz, n_stages);
}

RvcConfig refinegan_config_of_shapes(const ShapeReader& shapes, std::int64_t sample_rate_hz) {
  if (sample_rate_hz == 0) {
    fail(ErrorKind::checkpoint,
         "its decoder is RefineGAN's, whose tensors do not tell 24 from 32 kHz, nor 40 from 48. Put the config.json of "
         "its experiment "
         "beside it, or give --sample-rate to melisma import or extract");
  }
  auto config = configuration_at(sample_rate_hz, shapes.count("dec.upsample_conv_blocks.", ".input_conv.weight"));
  config.vocoder = "refinegan";
  config.inter_channels = shapes.size("dec.mel_conv.weight", 3, 1);
  config.upsample_initial_channels = 2 * shapes.size("dec.mel_conv.weight", 3, 0);
  config.resblock_kernels.clear();
  const auto n_blocks = shapes.count("dec.upsample_conv_blocks.0.blocks.", ".1.convs1.0.weight");
  for (std::int64_t i = 0; i < n_blocks; ++i) {
    const auto first = fmt::format("dec.upsample_conv_blocks.0.blocks.{}.1.convs1.0.weight", i);
    config.resblock_kernels.push_back(shapes.size(first, 3, 2));
  }
  return config;
}

// The decoder's part of a configuration.
RvcConfig decoder_config_of_shapes(const ShapeReader& shapes, std::string_view vocoder) {
  const bool is_mrf = vocoder == "mrf";
  const auto n_stages = shapes.count(is_mrf ? "dec.upsamples." : "dec.ups.", ".weight");
  const auto n_resblocks = is_mrf ? n_stages * shapes.count("dec.mrfs.0.", ".layers.0.conv1.weight")
                                  : shapes.count("dec.resblocks.", ".convs1.0.weight");
  if (n_stages == 0 || n_resblocks == 0 || n_resblocks % n_stages != 0) {
    fail(ErrorKind::checkpoint, "its decoder is not that of an RVC voice: {} upsampling stages, {} residual blocks",
         n_stages, n_resblocks);
  }
  std::vector<std::int64_t> kernels, source_kernels;
  for (std::int64_t i = 0; i < n_stages; ++i) {
    kernels.push_back(shapes.size(up_name(is_mrf, static_cast<std::size_t>(i)) + ".weight", 3, 2));
    const auto source = fmt::format("dec.noise_convs.{}.weight", i);
    if (shapes.has(source)) source_kernels.push_back(shapes.size(source, 3, 2));
  }
  auto config = configuration_with_kernels(kernels, source_kernels);
  config.vocoder = vocoder;
  config.inter_channels = shapes.size("dec.conv_pre.weight", 3, 1);
  config.upsample_initial_channels = shapes.size("dec.conv_pre.weight", 3, 0);
  config.resblock_kernels.clear();
  const auto n_blocks = static_cast<std::size_t>(n_resblocks / n_stages);
  for (std::size_t i = 0; i < n_blocks; ++i) {
    const auto first = block_name(is_mrf, 0, i, n_blocks) + (is_mrf ? ".layers.0.conv1" : ".convs1.0");
    config.resblock_kernels.push_back(shapes.size(first + ".weight", 3, 2));
  }
  return config;
}

}  // namespace
}  // namespace tensor_shapes_detail

std::optional<std::int64_t> rvc_rate_of_shapes(const StateDict& weights) {
  using namespace tensor_shapes_detail;
  const auto vocoder = rvc_vocoder_of_shapes(weights);
  if (vocoder != "hifigan" && vocoder != "mrf") return std::nullopt;
  try {
    return decoder_config_of_shapes(ShapeReader(weights), vocoder).sample_rate_hz;
  } catch (const Error&) {
    return std::nullopt;
  }
}

RvcConfig rvc_config_of_shapes(const StateDict& weights, std::int64_t sample_rate_hz) {
  using namespace tensor_shapes_detail;
  const ShapeReader shapes(weights);
  const auto vocoder = rvc_vocoder_of_shapes(weights);
  auto config = vocoder == "refinegan" ? refinegan_config_of_shapes(shapes, sample_rate_hz)
                                       : decoder_config_of_shapes(shapes, vocoder);
  if (sample_rate_hz > 0 && config.sample_rate_hz != sample_rate_hz) {
    fail(ErrorKind::checkpoint, "its decoder is one of {} Hz, not of {} Hz", config.sample_rate_hz, sample_rate_hz);
  }
  config.use_f0 = shapes.has("enc_p.emb_pitch.weight");
  config.content_channels = shapes.size("enc_p.emb_phone.weight", 2, 1);
  config.hidden_channels = shapes.size("enc_p.emb_phone.weight", 2, 0);
  config.filter_channels = shapes.size("enc_p.encoder.ffn_layers.0.conv_1.weight", 3, 0);
  config.kernel_size = shapes.size("enc_p.encoder.ffn_layers.0.conv_1.weight", 3, 2);
  config.n_layers = shapes.count("enc_p.encoder.ffn_layers.", ".conv_1.weight");
  config.n_heads = config.hidden_channels / shapes.size("enc_p.encoder.attn_layers.0.emb_rel_k", 3, 2);
  config.speakers = shapes.size("emb_g.weight", 2, 0);
  config.speaker_channels = shapes.size("emb_g.weight", 2, 1);
  if (shapes.has("enc_q.pre.weight")) {
    const auto n_fft = 2 * (shapes.size("enc_q.pre.weight", 3, 1) - 1);
    if (vocoder == "refinegan" && n_fft != config.n_fft) {
      fail(ErrorKind::checkpoint, "it hears spectra of {} samples; voices of {} Hz have {}", n_fft, sample_rate_hz,
           config.n_fft);
    }
    config.n_fft = config.window = n_fft;
    config.posterior_layers = shapes.count("enc_q.enc.in_layers.", ".weight");
  }
  check_config(config);
  return config;
}

std::int64_t rvc_output_axis(std::string_view name) {
  return name.starts_with("dec.ups.") || name.starts_with("dec.upsamples.") ? 1 : 0;
}

}  // namespace melisma
