// The synthesizer's decoder: a sine source that follows f0, and a HiFi-GAN generator that it excites.
#pragma once
#include <vector>

#include "models/layers/layers.h"
#include "models/rvc/config.h"

namespace melisma {

// Sine of f0 at audio rate plus noise, the excitation of voiced sound; no harmonics above the first.
class SourceModule final : public Module {
 public:
  SourceModule(std::int64_t sample_rate_hz, std::int64_t hop);
  // f0_hz [B, T], 0 = unvoiced; noise [B, T hop, 1] normal, undefined = none; start_cycles [B] double, the phase of the
  // first sample before its own increment in cycles, undefined = 0. -> [B, 1, T hop]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& f0_hz, const at::Tensor& noise,
                                      const at::Tensor& start_cycles = {}) const;
  // sin(phase) with the phase summed in double (Applio's per-frame sums and WebUI's interpolation both stay within 4e-6
  // of it), [B, T hop]; not yet scaled or masked.
  [[nodiscard]] at::Tensor sine(const at::Tensor& f0_hz, const at::Tensor& start_cycles = {}) const;
  // The phase in cycles after each frame, [B, T] double in [0, 1): what a later piece starts from.
  [[nodiscard]] at::Tensor cycles_after(const at::Tensor& f0_hz, const at::Tensor& start_cycles = {}) const;

 private:
  std::int64_t sample_rate_hz_, hop_;
  Owned<Linear> merge_;
};

// x + three pairs of dilated convolutions, each pair with a residual (HiFi-GAN's first kind).
class ResidualBlock final : public Module {
 public:
  ResidualBlock(std::int64_t channels, std::int64_t kernel, const std::vector<std::int64_t>& dilations,
                bool weight_norm);
  [[nodiscard]] at::Tensor operator()(at::Tensor x) const;  // [B, C, N] -> [B, C, N]

 private:
  std::vector<Owned<Conv1d>> dilated_, plain_;
};

// Latent frames to audio. With f0 every stage adds the source brought to its rate; without, it is a plain HiFi-GAN.
class Generator final : public Module {
 public:
  Generator(const RvcConfig& config, bool weight_norm);
  // z [B, inter, T], speaker [B, S, 1], source [B, 1, T hop] (undefined without f0) -> [B, 1, T hop] in (-1, 1)
  [[nodiscard]] at::Tensor operator()(const at::Tensor& z, const at::Tensor& speaker, const at::Tensor& source) const;
  // Throws Error(internal) without f0.
  [[nodiscard]] const SourceModule& source() const;

 private:
  Owned<SourceModule> source_;
  Owned<Conv1d> pre_, condition_, post_;
  std::vector<Owned<ConvTranspose1d>> up_;
  std::vector<Owned<Conv1d>> from_source_;
  std::vector<Owned<ResidualBlock>> blocks_;  // stages x kernels
};

}  // namespace melisma
