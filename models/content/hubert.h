// HuBERT: a recording to what is said in it, one vector each 20 ms. Inference: on the CPU with kernels of its own,
// elsewhere with LibTorch's.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/content/convolution_stack.h"
#include "models/content/hubert_config.h"
#include "models/content/positional_convolution.h"
#include "models/layers/layers.h"
#include "models/layers/module.h"
#include "models/layers/packed_matrix.h"

namespace melisma {

// Layer norm over the last dimension. weight, bias [width].
class LayerNorm final : public Module {
 public:
  LayerNorm(std::int64_t width, double eps);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;  // [..., width] -> the same

 private:
  at::Tensor weight_, bias_;
  double eps_;
};

// Where the layers put what they make on the way, one after the other: made once for all of them, as fresh memory costs
// the system a page fault a page. Each [rows, ...].
struct HubertScratch {
  HubertScratch(const HubertConfig& config, std::int64_t rows);
  at::Tensor query_key_value, attended, inner, sum;
};

// attention, norm, feed-forward, norm, each part added to what came in.
class HubertLayer final : public Module {
 public:
  HubertLayer(const HubertConfig& config, at::ScalarType arithmetic);
  void fold(bool on) override;
  void keep_only_packed();
  // x [rows, hidden], the clips of `lengths` rows one after the other; a clip attends to itself alone.
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, std::span<const std::int64_t> lengths,
                                      HubertScratch& scratch) const;
  // The same in LibTorch's own operations and without fold(): what other devices than the CPU do.
  [[nodiscard]] at::Tensor plain(const at::Tensor& x, std::span<const std::int64_t> lengths) const;

 private:
  [[nodiscard]] at::Tensor product(const at::Tensor& x, const Linear& layer) const;
  void attend(const at::Tensor& x, std::span<const std::int64_t> lengths, HubertScratch& scratch) const;
  std::int64_t n_heads_;
  at::ScalarType arithmetic_;
  Owned<Linear> key_, value_, query_, out_, up_, down_;
  Owned<LayerNorm> norm_, final_norm_;
  struct Packed {
    PackedMatrix query_key_value, out, up, down;
    // A key's bias adds the same to all scores of a query, and so nothing to its weights, which sum to one: a value's
    // bias is one of the output.
    at::Tensor out_bias;
  };
  std::unique_ptr<Packed> packed_;
};

// Parameter names are those of Hugging Face's HubertModel (masked_spec_embed left out, which only training uses), and
// final_proj where the file has one. load(), then fold(true), then use; on another device than the CPU load(), to(),
// then use, where waves come from the CPU's memory and what is made stays on the device.
class Hubert final : public Module {
 public:
  // arithmetic: of the matrix products, kFloat or kBFloat16 (Error(device) where the CPU does not multiply it).
  explicit Hubert(const HubertConfig& config, at::ScalarType arithmetic = at::kFloat);
  void initialise(at::Generator& generator) override;
  // After fold(true): gives up the layers' weights, which are kept in the order of the products as well, and take as
  // much memory again. From then on the network can only be run; fold() and load() are Error(internal).
  void keep_only_packed();
  [[nodiscard]] const HubertConfig& config() const { return config_; }
  // Columns of an output.
  [[nodiscard]] std::int64_t width(const HubertOutput& output) const;

  // Clips, mono at 16 kHz in [-1, 1], each of at least receptive_field() samples -> [frames, width] each. Rows of all
  // clips go through the network together, unpadded, so that a clip's features are those it would have alone.
  // Error(usage) for a layer or projection that the network has not.
  [[nodiscard]] std::vector<at::Tensor> operator()(std::span<const std::span<const float>> waves,
                                                   const HubertOutput& output) const;

  [[nodiscard]] at::Device device() const;

  // The steps of it, for clips of `lengths` frames one after the other.
  [[nodiscard]] at::Tensor convolved(std::span<const float> wave) const;  // [frames, conv channels]
  // Hidden state 0: [rows, conv channels] -> [rows, hidden].
  [[nodiscard]] at::Tensor embedded(const at::Tensor& convolved, std::span<const std::int64_t> lengths) const;
  // Hidden state n_layers of hidden state 0.
  [[nodiscard]] at::Tensor encoded(at::Tensor x, std::span<const std::int64_t> lengths, std::int64_t n_layers) const;
  [[nodiscard]] at::Tensor projected(const at::Tensor& x) const;  // [rows, hidden] -> [rows, projection]

 private:
  [[nodiscard]] at::Tensor outputs(const at::Tensor& convolved, std::span<const std::int64_t> lengths,
                                   const HubertOutput& output) const;
  HubertConfig config_;
  Owned<ConvolutionStack> convolutions_;
  Owned<LayerNorm> convolved_norm_;
  Owned<Linear> entrance_;
  Owned<PositionalConvolution> positions_;
  Owned<LayerNorm> norm_;
  std::vector<Owned<HubertLayer>> layers_;
  Owned<Linear> projection_;
};

}  // namespace melisma
