#include "models/content/hubert.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "tools/base/error.h"

namespace melisma {
namespace hubert_detail {
namespace {

// Clips go through the transformer together until they have this many rows: more rows do not make products faster, and
// no longer fit a core's cache.
constexpr std::int64_t kRowsTogether = 512;

}  // namespace
}  // namespace hubert_detail

HubertScratch::HubertScratch(const HubertConfig& config, std::int64_t rows)
    : query_key_value(at::empty({rows, 3 * config.hidden}, at::kFloat)),
      attended(at::empty({rows, config.hidden}, at::kFloat)),
      inner(at::empty({rows, config.intermediate}, at::kFloat)),
      sum(at::empty({rows, config.hidden}, at::kFloat)) {}

LayerNorm::LayerNorm(std::int64_t width, double eps) : eps_(eps) {
  weight_ = parameter("weight", at::ones({width}));
  bias_ = parameter("bias", at::zeros({width}));
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, weight_.sizes(), weight_, bias_, eps_);
}

HubertLayer::HubertLayer(const HubertConfig& config, at::ScalarType arithmetic)
    : n_heads_(config.n_heads), arithmetic_(arithmetic) {
  const auto hidden = config.hidden;
  key_ = make_child<Linear>("attention.k_proj", hidden, hidden);
  value_ = make_child<Linear>("attention.v_proj", hidden, hidden);
  query_ = make_child<Linear>("attention.q_proj", hidden, hidden);
  out_ = make_child<Linear>("attention.out_proj", hidden, hidden);
  norm_ = make_child<LayerNorm>("layer_norm", hidden, config.layer_norm_eps);
  up_ = make_child<Linear>("feed_forward.intermediate_dense", hidden, config.intermediate);
  down_ = make_child<Linear>("feed_forward.output_dense", config.intermediate, hidden);
  final_norm_ = make_child<LayerNorm>("final_layer_norm", hidden, config.layer_norm_eps);
}

void HubertLayer::fold(bool on) {
  if (up_->weight.numel() == 0) fail(ErrorKind::internal, "a HuBERT layer's weights were given up");
  packed_.reset();
  if (!on) return;
  const c10::NoGradGuard no_grad;
  const auto pack = [&](const at::Tensor& weight) { return PackedMatrix(weight, arithmetic_); };
  packed_ = std::make_unique<Packed>(Packed{
      .query_key_value = pack(at::cat({query_->weight, key_->weight, value_->weight})),
      .out = pack(out_->weight),
      .up = pack(up_->weight),
      .down = pack(down_->weight),
      .out_bias = out_->bias + at::mv(out_->weight, value_->bias),
  });
}

void HubertLayer::keep_only_packed() {
  if (!packed_) fail(ErrorKind::internal, "a HuBERT layer's weights are given up before fold(true)");
  const c10::NoGradGuard no_grad;
  for (const auto* part : {key_.get(), value_.get(), query_.get(), out_.get(), up_.get(), down_.get()}) {
    part->weight.set_data(at::empty({0}, part->weight.options()));
  }
}

// What the values of each clip become, weighted by its queries and keys: scratch.attended.
void HubertLayer::attend(const at::Tensor& x, std::span<const std::int64_t> lengths, HubertScratch& scratch) const {
  packed_->query_key_value.multiply(x, scratch.query_key_value, /*accumulate=*/false);
  scratch.query_key_value.narrow(1, 0, x.size(1)).add_(query_->bias);
  const auto width = x.size(1) / n_heads_;
  std::int64_t first = 0;
  for (const auto length : lengths) {
    const auto by_head = scratch.query_key_value.narrow(0, first, length)
                             .view({1, length, 3, n_heads_, width})
                             .permute({2, 0, 3, 1, 4});  // [3, 1, heads, length, width of a head]
    const auto values = at::scaled_dot_product_attention(by_head[0], by_head[1], by_head[2]);
    scratch.attended.narrow(0, first, length).view({1, length, n_heads_, width}).copy_(values.transpose(1, 2));
    first += length;
  }
}

at::Tensor HubertLayer::operator()(const at::Tensor& x, std::span<const std::int64_t> lengths,
                                   HubertScratch& scratch) const {
  if (!packed_) fail(ErrorKind::internal, "a HuBERT layer is used before fold(true)");
  attend(x, lengths, scratch);
  auto &sum = scratch.sum, &inner = scratch.inner;
  at::add_out(sum, x, packed_->out_bias);
  packed_->out.multiply(scratch.attended, sum, /*accumulate=*/true);
  const auto attended = (*norm_)(sum);
  inner.copy_(up_->bias.expand_as(inner));
  packed_->up.multiply(attended, inner, /*accumulate=*/true);
  at::gelu_(inner);
  at::add_out(sum, attended, down_->bias);
  packed_->down.multiply(inner, sum, /*accumulate=*/true);
  return (*final_norm_)(sum);
}

at::Tensor HubertLayer::product(const at::Tensor& x, const Linear& layer) const {
  return at::linear(x.to(arithmetic_), layer.weight.to(arithmetic_)).to(at::kFloat) + layer.bias;
}

at::Tensor HubertLayer::plain(const at::Tensor& x, std::span<const std::int64_t> lengths) const {
  const auto width = x.size(1) / n_heads_;
  const auto query = product(x, *query_), key = product(x, *key_), value = product(x, *value_);
  std::vector<at::Tensor> clips;
  std::int64_t first = 0;
  for (const auto length : lengths) {
    const auto heads = [&](const at::Tensor& rows) {  // [1, heads, length, width of a head]
      return rows.narrow(0, first, length).view({1, length, n_heads_, width}).transpose(1, 2);
    };
    const auto values = at::scaled_dot_product_attention(heads(query), heads(key), heads(value));
    clips.push_back(values.transpose(1, 2).reshape({length, x.size(1)}));
    first += length;
  }
  const auto attended = (*norm_)(x + product(at::cat(clips), *out_));
  return (*final_norm_)(attended + product(at::gelu(product(attended, *up_)), *down_));
}

Hubert::Hubert(const HubertConfig& config, at::ScalarType arithmetic) : config_(config) {
  convolutions_ = make_child<ConvolutionStack>("feature_extractor", config, arithmetic);
  const auto channels = config.conv_channels.back();
  convolved_norm_ = make_child<LayerNorm>("feature_projection.layer_norm", channels, config.layer_norm_eps);
  entrance_ = make_child<Linear>("feature_projection.projection", channels, config.hidden);
  positions_ = make_child<PositionalConvolution>("encoder.pos_conv_embed", config);
  norm_ = make_child<LayerNorm>("encoder.layer_norm", config.hidden, config.layer_norm_eps);
  for (std::int64_t i = 0; i < config.n_layers; ++i) {
    layers_.push_back(make_child<HubertLayer>(fmt::format("encoder.layers.{}", i), config, arithmetic));
  }
  if (config.projection > 0) projection_ = make_child<Linear>("final_proj", config.hidden, config.projection);
}

// Weights within 1/sqrt(fan in), norms and gains of one, biases of zero.
void Hubert::initialise(at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  for (const auto& [name, tensor] : parameters()) {
    if (name.ends_with("bias")) {
      tensor.zero_();
    } else if (tensor.dim() == 1) {
      tensor.fill_(1);
    } else if (!name.ends_with("weight_g")) {
      const auto bound = 1 / std::sqrt(static_cast<double>(tensor[0].numel()));
      tensor.copy_(at::rand(tensor.sizes(), generator, at::TensorOptions().dtype(at::kFloat)).mul_(2).sub_(1) * bound);
    }
  }
  const auto weights = state_dict();
  const auto& v = weights.at("encoder.pos_conv_embed.conv.weight_v");
  weights.at("encoder.pos_conv_embed.conv.weight_g").copy_(at::linalg_vector_norm(v, 2, {0, 1}, /*keepdim=*/true));
  fold(false);
}

void Hubert::keep_only_packed() {
  for (const auto& layer : layers_) layer->keep_only_packed();
}

at::Device Hubert::device() const { return entrance_->weight.device(); }

std::int64_t Hubert::width(const HubertOutput& output) const {
  return output.projection ? config_.projection : config_.hidden;
}

at::Tensor Hubert::convolved(std::span<const float> wave) const { return (*convolutions_)(wave); }

at::Tensor Hubert::embedded(const at::Tensor& convolved, std::span<const std::int64_t> lengths) const {
  const c10::NoGradGuard no_grad;
  const auto x = (*entrance_)((*convolved_norm_)(convolved));
  auto positions = (*positions_)(x, lengths);
  return (*norm_)(at::gelu_(positions).add_(x));
}

at::Tensor Hubert::encoded(at::Tensor x, std::span<const std::int64_t> lengths, std::int64_t n_layers) const {
  const c10::NoGradGuard no_grad;
  if (!x.is_cpu()) {
    for (std::int64_t i = 0; i < n_layers; ++i) x = layers_[static_cast<std::size_t>(i)]->plain(x, lengths);
    return x;
  }
  HubertScratch scratch(config_, x.size(0));
  for (std::int64_t i = 0; i < n_layers; ++i) x = (*layers_[static_cast<std::size_t>(i)])(x, lengths, scratch);
  return x;
}

at::Tensor Hubert::projected(const at::Tensor& x) const {
  const c10::NoGradGuard no_grad;
  return (*projection_)(x);
}

at::Tensor Hubert::outputs(const at::Tensor& convolved, std::span<const std::int64_t> lengths,
                           const HubertOutput& output) const {
  const auto hidden = encoded(embedded(convolved, lengths), lengths, output.layer);
  return output.projection ? projected(hidden) : hidden;
}

std::vector<at::Tensor> Hubert::operator()(std::span<const std::span<const float>> waves,
                                           const HubertOutput& output) const {
  if (output.layer < 0 || output.layer > config_.n_layers) {
    fail(ErrorKind::usage, "layer {} is asked for; this HuBERT has {}", output.layer, config_.n_layers);
  }
  if (output.projection && !projection_) {
    fail(ErrorKind::usage, "a projection is asked for; this HuBERT has no 'final_proj.weight'");
  }
  std::vector<at::Tensor> made;
  std::vector<at::Tensor> together;
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < waves.size(); ++i) {
    together.push_back(convolved(waves[i]));
    lengths.push_back(together.back().size(0));
    const auto rows = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
    if (rows < hubert_detail::kRowsTogether && i + 1 < waves.size()) continue;
    for (auto& part : outputs(at::cat(together), lengths, output).split_with_sizes(lengths)) made.push_back(part);
    together.clear();
    lengths.clear();
  }
  return made;
}

}  // namespace melisma
