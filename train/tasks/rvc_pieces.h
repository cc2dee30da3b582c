// The pieces that RVC training is made of: which part of which clip, and its numbers as tensors.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data/sets/dataset.h"
#include "train/tasks/rvc_settings.h"

namespace melisma {

// A clip or a part of one that takes part in each epoch.
struct RvcPiece {
  Clip clip;
  std::int64_t first_frame = 0, n_frames = 0;
};

// What was done with the clips.
struct RvcPieces {
  std::vector<RvcPiece> pieces;
  std::int64_t n_clips = 0, n_cut = 0, n_padded = 0;  // longer than max_frames; shorter than a segment
  std::int64_t n_frames = 0;
};

// Every clip of `clips`, longer ones as equal pieces. A clip too short for one frame is an Error(data) naming it.
[[nodiscard]] RvcPieces cut_into_pieces(const std::vector<Clip>& clips, const RvcSettings& settings);

// A piece of T frames: features of the dataset, silence where they end early, and the spectrum of its own samples.
struct RvcPieceTensors {
  at::Tensor content;       // [T, W]
  at::Tensor f0;            // [T] Hz
  at::Tensor coarse_pitch;  // [T] long
  at::Tensor wave;          // [T hop]
  at::Tensor spectrum;      // [bins, T]
};

// How large all of them are together, in bytes.
[[nodiscard]] std::uint64_t size_in_bytes(const RvcPieces& pieces, const RvcSettings& settings);

// Where data.keep has pieces stay, for one of `n_sharing` processes on this machine; nowhere if "auto" finds that they
// would take more than a quarter of what is free. Throws Error(config) if they are to be kept and cannot be.
[[nodiscard]] std::optional<at::Device> place_to_keep(const RvcPieces& pieces, const RvcSettings& settings,
                                                      at::Device device, std::int64_t n_sharing);

// Makes pieces from the dataset. Those of a store that keeps them are made once, and lie there from then on.
class RvcPieceStore {
 public:
  RvcPieceStore(std::shared_ptr<const Dataset> dataset, const RvcSettings& settings, RvcPieces pieces,
                std::optional<at::Device> kept_on);
  [[nodiscard]] const RvcPieces& pieces() const { return pieces_; }
  [[nodiscard]] at::Device device() const { return kept_on_.value_or(at::kCPU); }
  // Piece `i`, on device(). One call at a time.
  [[nodiscard]] RvcPieceTensors tensors(std::size_t i) const;

 private:
  [[nodiscard]] RvcPieceTensors made(const RvcPiece& piece) const;

  std::shared_ptr<const Dataset> dataset_;
  RvcSettings settings_;
  RvcPieces pieces_;
  std::optional<at::Device> kept_on_;
  mutable std::vector<std::optional<RvcPieceTensors>> kept_;
};

}  // namespace melisma
