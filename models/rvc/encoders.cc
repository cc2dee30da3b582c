#include "models/rvc/encoders.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "models/layers/device.h"

namespace melisma {
namespace {

constexpr std::int64_t kAttentionWindow = 10;
constexpr std::int64_t kPositions = 2 * kAttentionWindow + 1;
constexpr std::int64_t kFlowLayers = 4;
constexpr std::int64_t kFlowWaveNetLayers = 3;
constexpr std::int64_t kWaveNetKernel = 5;
constexpr double kMaskedScore = -1e4;

std::string numbered(std::string_view name, std::size_t index) { return std::string(name) + std::to_string(index); }

// scores[i][j] for key j = i + r - 10 from logits[i][r], zero further away: [B, H, T, 21] -> [B, H, T, T].
// Rows of width T + 21 read as rows of width T + 20 move one step right a row.
at::Tensor spread_positions(const at::Tensor& logits) {
  const auto batch = logits.size(0), heads = logits.size(1), frames = logits.size(2);
  const auto wide = at::constant_pad_nd(logits, {0, frames}).view({batch, heads, frames * (frames + kPositions)});
  return wide.slice(2, 0, frames * (frames + kPositions - 1))
      .view({batch, heads, frames, frames + kPositions - 1})
      .slice(3, kAttentionWindow, kAttentionWindow + frames);
}

// The inverse: what each frame attends to at distances -10..10, [B, H, T, T] -> [B, H, T, 21].
at::Tensor gather_positions(const at::Tensor& weights) {
  const auto batch = weights.size(0), heads = weights.size(1), frames = weights.size(2);
  const auto wide = at::constant_pad_nd(weights, {kAttentionWindow, kAttentionWindow})
                        .view({batch, heads, frames * (frames + kPositions - 1)});
  return at::constant_pad_nd(wide, {0, frames})
      .view({batch, heads, frames, frames + kPositions})
      .slice(3, 0, kPositions);
}

void fill_xavier(const at::Tensor& weight, at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  const double fan = static_cast<double>((weight.size(0) + weight.size(1)) * weight.size(2));
  const double bound = std::sqrt(6 / fan);
  weight.copy_(at::rand(weight.sizes(), generator, at::TensorOptions().dtype(at::kFloat)).mul_(2 * bound).sub_(bound));
}

}  // namespace

at::Tensor sequence_mask(const at::Tensor& lengths, std::int64_t frames, at::ScalarType type, at::Device device) {
  const auto position = at::arange(frames, lengths.options()).unsqueeze(0);
  return on_device((position < lengths.unsqueeze(1)).unsqueeze(1).to(type), device);
}

RelativeAttention::RelativeAttention(std::int64_t channels, std::int64_t n_heads)
    : n_heads_(n_heads), head_channels_(channels / n_heads) {
  key_positions_ = parameter("emb_rel_k", at::zeros({1, kPositions, head_channels_}));
  value_positions_ = parameter("emb_rel_v", at::zeros({1, kPositions, head_channels_}));
  query_ = make_child<Conv1d>("conv_q", channels, channels);
  key_ = make_child<Conv1d>("conv_k", channels, channels);
  value_ = make_child<Conv1d>("conv_v", channels, channels);
  out_ = make_child<Conv1d>("conv_o", channels, channels);
}

at::Tensor RelativeAttention::operator()(const at::Tensor& x, const at::Tensor& attention_mask) const {
  const auto batch = x.size(0), frames = x.size(2);
  const auto heads = [&](const at::Tensor& t) {  // [B, C, T] -> [B, H, T, C / H]
    return t.view({batch, n_heads_, head_channels_, frames}).transpose(2, 3);
  };
  const auto query = heads((*query_)(x)) / std::sqrt(static_cast<double>(head_channels_));
  const auto key = heads((*key_)(x)), value = heads((*value_)(x));
  auto scores = at::matmul(query, key.transpose(2, 3));  // [B, H, T, T]
  scores = scores + spread_positions(at::matmul(query, key_positions_.transpose(1, 2)));
  const auto weights = at::softmax(scores.masked_fill(attention_mask == 0, kMaskedScore), -1);
  const auto attended = at::matmul(weights, value) + at::matmul(gather_positions(weights), value_positions_);
  return (*out_)(attended.transpose(2, 3).reshape({batch, n_heads_ * head_channels_, frames}));
}

void RelativeAttention::initialise(at::Generator& generator) {
  Module::initialise(generator);
  const c10::NoGradGuard no_grad;
  const double deviation = 1 / std::sqrt(static_cast<double>(head_channels_));
  for (const auto& positions : {key_positions_, value_positions_}) {
    positions.copy_(at::randn(positions.sizes(), generator, at::TensorOptions().dtype(at::kFloat)).mul_(deviation));
  }
  for (const auto* conv : {query_.get(), key_.get(), value_.get()}) fill_xavier(conv->weight(), generator);
}

FeedForward::FeedForward(std::int64_t channels, std::int64_t filter_channels, std::int64_t kernel) : kernel_(kernel) {
  first_ = make_child<Conv1d>("conv_1", channels, filter_channels, ConvOptions{.kernel = kernel});
  second_ = make_child<Conv1d>("conv_2", filter_channels, channels, ConvOptions{.kernel = kernel});
}

at::Tensor FeedForward::operator()(const at::Tensor& x, const at::Tensor& mask) const {
  const auto padded = [&](const at::Tensor& t) { return at::constant_pad_nd(t, {(kernel_ - 1) / 2, kernel_ / 2}); };
  const auto hidden = at::relu((*first_)(padded(x * mask)));
  return (*second_)(padded(hidden * mask)) * mask;
}

AttentionEncoder::AttentionEncoder(std::int64_t channels, std::int64_t filter_channels, std::int64_t n_heads,
                                   std::int64_t n_layers, std::int64_t kernel) {
  for (std::int64_t i = 0; i < n_layers; ++i) {
    attention_.push_back(make_child<RelativeAttention>(numbered("attn_layers.", i), channels, n_heads));
  }
  for (std::int64_t i = 0; i < n_layers; ++i) {
    norm_1_.push_back(make_child<ChannelLayerNorm>(numbered("norm_layers_1.", i), channels));
  }
  for (std::int64_t i = 0; i < n_layers; ++i) {
    feed_forward_.push_back(make_child<FeedForward>(numbered("ffn_layers.", i), channels, filter_channels, kernel));
  }
  for (std::int64_t i = 0; i < n_layers; ++i) {
    norm_2_.push_back(make_child<ChannelLayerNorm>(numbered("norm_layers_2.", i), channels));
  }
}

at::Tensor AttentionEncoder::operator()(at::Tensor x, const at::Tensor& mask) const {
  const auto attention_mask = mask.unsqueeze(2) * mask.unsqueeze(-1);  // [B, 1, T, T]
  x = x * mask;
  for (std::size_t i = 0; i < attention_.size(); ++i) {
    x = (*norm_1_[i])(x + (*attention_[i])(x, attention_mask));
    x = (*norm_2_[i])(x + (*feed_forward_[i])(x, mask));
  }
  return x * mask;
}

TextEncoder::TextEncoder(const RvcConfig& config) : hidden_(config.hidden_channels) {
  content_ = make_child<Linear>("emb_phone", config.content_channels, config.hidden_channels);
  if (config.use_f0) pitch_ = make_child<Embedding>("emb_pitch", 256, config.hidden_channels);
  encoder_ = make_child<AttentionEncoder>("encoder", config.hidden_channels, config.filter_channels, config.n_heads,
                                          config.n_layers, config.kernel_size);
  projection_ = make_child<Conv1d>("proj", config.hidden_channels, 2 * config.inter_channels);
}

LatentStatistics TextEncoder::operator()(const at::Tensor& content, const at::Tensor& coarse_pitch,
                                         const at::Tensor& mask) const {
  auto x = (*content_)(content);  // [B, T, hidden]
  if (pitch_) x = x + (*pitch_)(coarse_pitch);
  x = at::leaky_relu(x * std::sqrt(static_cast<double>(hidden_)), 0.1).transpose(1, 2);  // [B, hidden, T]
  const auto statistics = ((*projection_)((*encoder_)(x, mask)) * mask).chunk(2, 1);
  return {statistics[0], statistics[1]};
}

WaveNet::WaveNet(std::int64_t channels, std::int64_t kernel, std::int64_t n_layers, std::int64_t speaker_channels,
                 bool weight_norm)
    : channels_(channels) {
  for (std::int64_t i = 0; i < n_layers; ++i) {
    in_.push_back(
        make_child<Conv1d>(numbered("in_layers.", i), channels, 2 * channels,
                           ConvOptions{.kernel = kernel, .padding = (kernel - 1) / 2, .weight_norm = weight_norm}));
  }
  for (std::int64_t i = 0; i < n_layers; ++i) {
    const auto width = i + 1 < n_layers ? 2 * channels : channels;
    out_.push_back(
        make_child<Conv1d>(numbered("res_skip_layers.", i), channels, width, ConvOptions{.weight_norm = weight_norm}));
  }
  condition_ = make_child<Conv1d>("cond_layer", speaker_channels, 2 * channels * n_layers,
                                  ConvOptions{.weight_norm = weight_norm});
}

at::Tensor WaveNet::operator()(at::Tensor x, const at::Tensor& mask, const at::Tensor& speaker) const {
  const auto condition = (*condition_)(speaker);  // [B, 2 C L, 1]
  at::Tensor output;
  for (std::size_t i = 0; i < in_.size(); ++i) {
    const auto first = 2 * channels_ * static_cast<std::int64_t>(i);
    const auto gates = ((*in_[i])(x) + condition.slice(1, first, first + 2 * channels_)).chunk(2, 1);
    const auto both = (*out_[i])(at::tanh(gates[0]) * at::sigmoid(gates[1]));
    const bool is_last = i + 1 == in_.size();
    const auto skip = is_last ? both : both.slice(1, channels_, 2 * channels_);
    output = output.defined() ? output + skip : skip;
    if (!is_last) x = (x + both.slice(1, 0, channels_)) * mask;
  }
  return output * mask;
}

PosteriorEncoder::PosteriorEncoder(const RvcConfig& config, bool weight_norm) {
  pre_ = make_child<Conv1d>("pre", config.spectrum_bins(), config.hidden_channels);
  encoder_ = make_child<WaveNet>("enc", config.hidden_channels, kWaveNetKernel, config.posterior_layers,
                                 config.speaker_channels, weight_norm);
  projection_ = make_child<Conv1d>("proj", config.hidden_channels, 2 * config.inter_channels);
}

LatentStatistics PosteriorEncoder::operator()(const at::Tensor& spectrum, const at::Tensor& mask,
                                              const at::Tensor& speaker) const {
  const auto hidden = (*encoder_)((*pre_)(spectrum)*mask, mask, speaker);
  const auto statistics = ((*projection_)(hidden)*mask).chunk(2, 1);
  return {statistics[0], statistics[1]};
}

CouplingLayer::CouplingLayer(const RvcConfig& config, bool weight_norm) : half_(config.inter_channels / 2) {
  pre_ = make_child<Conv1d>("pre", half_, config.hidden_channels);
  encoder_ = make_child<WaveNet>("enc", config.hidden_channels, kWaveNetKernel, kFlowWaveNetLayers,
                                 config.speaker_channels, weight_norm);
  post_ = make_child<Conv1d>("post", config.hidden_channels, half_);
}

at::Tensor CouplingLayer::shift(const at::Tensor& half, const at::Tensor& mask, const at::Tensor& speaker) const {
  return (*post_)((*encoder_)((*pre_)(half)*mask, mask, speaker)) * mask;
}

at::Tensor CouplingLayer::forward(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& speaker) const {
  const auto kept = x.slice(1, 0, half_), moved = x.slice(1, half_, 2 * half_);
  return at::cat({kept, shift(kept, mask, speaker) + moved * mask}, 1);
}

at::Tensor CouplingLayer::reverse(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& speaker) const {
  const auto kept = x.slice(1, 0, half_), moved = x.slice(1, half_, 2 * half_);
  return at::cat({kept, (moved - shift(kept, mask, speaker)) * mask}, 1);
}

void CouplingLayer::initialise(at::Generator& generator) {
  Module::initialise(generator);
  const c10::NoGradGuard no_grad;
  for (const auto& [name, tensor] : post_->parameters()) tensor.zero_();  // so that the flow starts as the identity
}

Flow::Flow(const RvcConfig& config, bool weight_norm) {
  for (std::int64_t i = 0; i < kFlowLayers; ++i) {
    layers_.push_back(make_child<CouplingLayer>(numbered("flows.", 2 * i), config, weight_norm));
  }
}

at::Tensor Flow::forward(at::Tensor z, const at::Tensor& mask, const at::Tensor& speaker) const {
  for (const auto& layer : layers_) z = layer->forward(z, mask, speaker).flip({1});
  return z;
}

at::Tensor Flow::reverse(at::Tensor z, const at::Tensor& mask, const at::Tensor& speaker) const {
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    z = (*layer)->reverse(z.flip({1}), mask, speaker);
  }
  return z;
}

}  // namespace melisma
