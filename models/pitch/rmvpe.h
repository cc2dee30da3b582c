// RMVPE: pitch salience of a voice in any mixture, a U-net over mel bands followed by a two-way recurrent layer (Wei et
// al., 2023), with the weight names of the distributed rmvpe.pt.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/layers/packed_conv.h"
#include "models/pitch/gru.h"
#include "models/pitch/named_weights.h"

namespace melisma {

// The sizes of rmvpe.pt; other files are read from their shapes.
struct RmvpeShape {
  std::int64_t levels = 5;           // of the U-net: each halves time and bands
  std::int64_t blocks = 4;           // residual blocks a level
  std::int64_t bottom_layers = 4;    // layers of blocks between encoder and decoder
  std::int64_t first_channels = 16;  // of the first level; doubled at each further one
  std::int64_t recurrent_layers = 1, hidden = 256;
  [[nodiscard]] std::int64_t frame_step() const { return std::int64_t{1} << levels; }  // frames come in multiples of it
  // Frames to each side that the U-net's output at a frame depends on, rounded up to frame_step.
  [[nodiscard]] std::int64_t context_frames() const;
  bool operator==(const RmvpeShape&) const = default;
};

// The shape a file's tensors have. Throws Error(checkpoint) if they are not those of an RMVPE network.
[[nodiscard]] RmvpeShape rmvpe_shape_of(const StateDict& weights);

// How long recordings are cut. Peak memory is about 70 kB a computed frame (rmvpe.pt).
struct RmvpeChunks {
  std::int64_t frames = 6400;  // handed on at a time; a multiple of frame_step
  std::int64_t context = 0;    // computed to each side of them; 0 = context_frames
};

// Two 3x3 convolutions, each normalised and rectified, around which the input is added (through a 1x1 convolution where
// the channels differ). [1, in, T, M] -> [1, out, T, M].
class RmvpeBlock {
 public:
  RmvpeBlock(std::int64_t in, std::int64_t out, const std::string& prefix, NamedWeights& weights);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  PackedConv2d first_, second_;
  std::optional<PackedConv2d> shortcut_;
};
using RmvpeBlocks = std::vector<RmvpeBlock>;

class Rmvpe {
 public:
  static constexpr std::int64_t kBands = 128, kBins = 360;

  Rmvpe(const RmvpeShape& shape, NamedWeights& weights);
  [[nodiscard]] const RmvpeShape& shape() const { return shape_; }

  // mel [T, 128] of rmvpe_mel, T a multiple of frame_step -> salience in [0, 1] of 360 bins of 20 cents, [T, 360].
  [[nodiscard]] at::Tensor operator()(const at::Tensor& mel) const;

  // Mono wave at 16 kHz -> salience of its network_frames, handed to `take` as [n, 360] piece by piece in order. Equals
  // the network over the whole recording within rounding: the U-net runs in pieces with all the context it has, the
  // recurrent layers over everything (4 kB a frame, 24 MB a minute).
  void listen(std::span<const float> wave, const RmvpeChunks& chunks,
              const std::function<void(const at::Tensor&)>& take) const;

 private:
  static constexpr std::int64_t kMergedChannels = 3;  // of each band, after the U-net

  [[nodiscard]] at::Tensor u_net(at::Tensor x) const;
  [[nodiscard]] at::Tensor features(const at::Tensor& mel) const;
  [[nodiscard]] at::Tensor remembered(at::Tensor features) const;
  [[nodiscard]] at::Tensor salience(const at::Tensor& remembered) const;

  struct Decoder {
    PackedConvTranspose2d rise;
    RmvpeBlocks blocks;
  };
  RmvpeShape shape_;
  ChannelAffine input_;
  std::vector<RmvpeBlocks> encoder_, bottom_;
  std::vector<Decoder> decoder_;
  std::optional<PackedConv2d> merge_;
  std::vector<BidirectionalGruLayer> recurrent_;
  at::Tensor output_weight_, output_bias_;
};

}  // namespace melisma
