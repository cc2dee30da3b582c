// The synthesizer's decoder: audio from the latent, excited by a source that follows f0. One class a vocoder.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "models/layers/layers.h"
#include "models/rvc/config.h"
#include "models/rvc/source.h"

namespace melisma {

// Normal numbers [B, C, N] for the `call`-th layer (0, 1, ...) that asks for noise in one pass of a decoder.
using LayerNoise = std::function<at::Tensor(std::int64_t call, at::IntArrayRef shape)>;

class Decoder : public Module {
 public:
  // z [B, inter, T], speaker [B, S, 1], source [B, 1, T hop] from source(), undefined without f0; noise of the layers
  // that add some (refinegan), empty = none -> [B, 1, T hop]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& z, const at::Tensor& speaker, const at::Tensor& source,
                                      const LayerNoise& noise = {}) const {
    return decode(z, speaker, source, noise);
  }
  // Throws Error(internal) without f0.
  [[nodiscard]] const SourceModule& source() const;
  // Latent and source further than this many frames from a sample do not reach it.
  [[nodiscard]] virtual std::int64_t context_frames() const = 0;

 protected:
  Owned<SourceModule> source_;

 private:
  [[nodiscard]] virtual at::Tensor decode(const at::Tensor& z, const at::Tensor& speaker, const at::Tensor& source,
                                          const LayerNoise& noise) const = 0;
};

// The decoder that config.vocoder names. Names, order and shapes of the parameters are those of the RVC tools' "dec.".
[[nodiscard]] Owned<Decoder> make_decoder(const RvcConfig& config, bool weight_norm);

// Leaky ReLU, convolution, leaky ReLU, convolution, residual: three times, the first ones dilated (HiFi-GAN's first
// kind).
struct ResidualBlockOptions {
  bool weight_norm = true;
  double slope = 0.1;
  bool is_paired = false;  // named "layers.i.conv1", "layers.i.conv2" (MRF); otherwise "convs1.i" and "convs2.i"
};
class ResidualBlock final : public Module {
 public:
  ResidualBlock(std::int64_t channels, std::int64_t kernel, const std::vector<std::int64_t>& dilations,
                const ResidualBlockOptions& options = {});
  // [B, C, N] -> [B, C, N]; within a RecomputeScope only its input is kept for the backward pass.
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
  // Samples to each side that reach one.
  [[nodiscard]] static std::int64_t reach(std::int64_t kernel, const std::vector<std::int64_t>& dilations);

 private:
  [[nodiscard]] at::Tensor refined(at::Tensor x) const;
  double slope_;
  std::vector<Owned<Conv1d>> dilated_, plain_;
};

}  // namespace melisma
