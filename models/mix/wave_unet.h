// Mix-Wave-U-Net, as automix-toolkit has it: the mix made from waves by convolutions at halved rates and back.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "models/layers/layers.h"
#include "models/layers/norms.h"
#include "models/mix/mix_model.h"

namespace melisma {

// [B, in, N] -> what is passed on at half the rate [B, out, N / 2], and what the way back sees [B, out, N].
class WaveUnetDown : public Module {
 public:
  WaveUnetDown(std::int64_t in, std::int64_t out, std::int64_t kernel);
  [[nodiscard]] std::pair<at::Tensor, at::Tensor> operator()(const at::Tensor& x) const;

 private:
  Conv1d conv1_;
  BatchNorm bn_;
  PRelu prelu_;
  Conv1d conv2_;
};

// [B, in / 2, N / 2] beside [B, in / 2, N] -> [B, out, N].
class WaveUnetUp : public Module {
 public:
  WaveUnetUp(std::int64_t in, std::int64_t out, std::int64_t kernel);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const at::Tensor& skip) const;

 private:
  Conv1d conv_;
  BatchNorm bn_;
  PRelu prelu_;
};

class MixWaveUnet final : public MixModel {
 public:
  explicit MixWaveUnet(const MixWaveUnetConfig& config);
  // Tracks that are absent, or fewer than the network takes, are silence. Error(data) for more, or a length that is no
  // multiple of length_step().
  [[nodiscard]] MadeMix mix(const MixInput& input) const override;
  [[nodiscard]] bool has_console() const override { return false; }
  [[nodiscard]] std::int64_t length_step() const override { return std::int64_t{1} << config_.levels; }
  // x [B, tracks, N] -> [B, 2, N]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  MixWaveUnetConfig config_;
  std::vector<std::unique_ptr<WaveUnetDown>> encoder_;
  std::unique_ptr<Conv1d> embedding_;
  std::vector<std::unique_ptr<WaveUnetUp>> decoder_;
  std::unique_ptr<Conv1d> output_conv_;
};

}  // namespace melisma
