// RefineGAN (Xu et al. 2021) in the form that Applio trains: vocoder "refinegan".
#pragma once
#include <vector>

#include "models/rvc/decoder.h"

namespace melisma {

// Every `factor`-th sample of a low-passed signal: a Kaiser-windowed sinc over 64 zero crossings to each side, as
// torchaudio.functional.resample with lowpass_filter_width 64, rolloff 0.9475937167399596, beta 14.769656459379492.
class Decimator {
 public:
  explicit Decimator(std::int64_t factor);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;  // [B, C, N] -> [B, C, N / factor]
  // Samples to each side that reach one.
  [[nodiscard]] std::int64_t reach() const { return reach_; }

 private:
  std::int64_t factor_, reach_ = 0;
  at::Tensor taps_;  // [1, 1, 2 reach + factor]; undefined for factor 1
};

// x + weight noise through a leaky ReLU. weight [C].
class LearnedNoise final : public Module {
 public:
  explicit LearnedNoise(std::int64_t channels);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const at::Tensor& noise) const;  // noise may be undefined
  void initialise(at::Generator& generator) override;

 private:
  at::Tensor weight_;
};

// A convolution, then the mean of residual blocks of several kernels, each between two layers of learned noise.
class ParallelBlocks final : public Module {
 public:
  ParallelBlocks(std::int64_t in, std::int64_t out, const RvcConfig& config, bool weight_norm);
  // `call` counts the layers that asked for noise. [B, in, N] -> [B, out, N]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const LayerNoise& noise, std::int64_t& call) const;

 private:
  Owned<Conv1d> input_;
  std::vector<Owned<LearnedNoise>> before_, after_;
  std::vector<Owned<ResidualBlock>> blocks_;
};

// The source goes down to the frame rate in steps, twice as wide at each; the latent joins it there and goes up by
// linear interpolation, at each step beside what the source had at that rate.
class RefineGanDecoder final : public Decoder {
 public:
  RefineGanDecoder(const RvcConfig& config, bool weight_norm);
  [[nodiscard]] std::int64_t context_frames() const override { return context_frames_; }

 private:
  [[nodiscard]] at::Tensor decode(const at::Tensor& z, const at::Tensor& speaker, const at::Tensor& source,
                                  const LayerNoise& noise) const override;

  std::vector<std::int64_t> rates_;
  std::int64_t context_frames_ = 0;
  Owned<Conv1d> pre_, latent_, condition_, post_;
  std::vector<Decimator> decimators_;
  std::vector<Owned<Conv1d>> down_;
  std::vector<Owned<ParallelBlocks>> up_;
};

}  // namespace melisma
