#include "train/tasks/rvc_pieces.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "data/signal/mel.h"
#include "models/layers/device.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "train/tasks/rvc_task.h"

namespace melisma {
namespace {

// Rows of a feature matrix from the piece's first frame on, zero where it has none left.
at::Tensor rows_of(const FeatureMatrix& features, const RvcPiece& piece) {
  const auto rows = at::zeros({piece.n_frames, features.width});
  const auto whole = at::from_blob(const_cast<float*>(features.values.data()), {features.n_frames, features.width});
  const auto available = std::clamp<std::int64_t>(features.n_frames - piece.first_frame, 0, piece.n_frames);
  rows.narrow(0, 0, available).copy_(whole.narrow(0, piece.first_frame, available));
  return rows;
}

}  // namespace

RvcPieces cut_into_pieces(const std::vector<Clip>& clips, const RvcSettings& settings) {
  RvcPieces all;
  for (const auto& clip : clips) {
    const auto frames = clip.length / settings.model.hop;
    if (frames < 1) {
      fail(ErrorKind::data, "clip {} of '{}' has {} samples: less than one frame of {}", clip.index, clip.recording,
           clip.length, settings.model.hop);
    }
    const auto n = (frames + settings.data.max_frames - 1) / settings.data.max_frames;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto first = frames * i / n;
      all.pieces.push_back({clip, first, frames * (i + 1) / n - first});
    }
    all.n_clips += 1;
    all.n_cut += n > 1 ? 1 : 0;
    all.n_padded += frames < settings.model.segment_frames ? 1 : 0;
    all.n_frames += frames;
  }
  return all;
}

std::uint64_t size_in_bytes(const RvcPieces& pieces, const RvcSettings& settings) {
  const auto& model = settings.model;
  const auto floats_a_frame = model.content_channels + 1 + model.hop + model.spectrum_bins();
  const auto bytes_a_frame =
      static_cast<std::uint64_t>(floats_a_frame) * sizeof(float) + sizeof(std::int64_t);  // its coarse pitch
  return static_cast<std::uint64_t>(pieces.n_frames) * bytes_a_frame;
}

std::optional<at::Device> place_to_keep(const RvcPieces& pieces, const RvcSettings& settings, at::Device device,
                                        std::int64_t n_sharing) {
  if (settings.data.keep == "off") return std::nullopt;
  const auto size = size_in_bytes(pieces, settings);
  const auto n_there = device.is_cpu() ? n_sharing : 1;  // a GPU is one process's
  const auto free = free_memory(device) / static_cast<std::uint64_t>(n_there);
  if (settings.data.keep == "on") {
    if (free > 0 && size > free) {
      fail(ErrorKind::config,
           "data.keep is on, but the training clips take {} as tensors and {} are free on {}{}; set data.keep to auto",
           format_bytes(size), format_bytes(free), device_text(device), n_there > 1 ? " for each process" : "");
    }
    return device;
  }
  constexpr std::uint64_t kShare = 4;  // the rest is for the networks, and for other programs
  return size <= free / kShare ? std::optional(device) : std::nullopt;
}

RvcPieceStore::RvcPieceStore(std::shared_ptr<const Dataset> dataset, const RvcSettings& settings, RvcPieces pieces,
                             std::optional<at::Device> kept_on)
    : dataset_(std::move(dataset)), settings_(settings), pieces_(std::move(pieces)), kept_on_(kept_on) {
  if (kept_on_) kept_.resize(pieces_.pieces.size());
}

RvcPieceTensors RvcPieceStore::tensors(std::size_t i) const {
  if (!kept_on_) return made(pieces_.pieces.at(i));
  auto& kept = kept_.at(i);
  if (!kept) {
    const auto here = made(pieces_.pieces.at(i));
    const auto there = [&](const at::Tensor& tensor) { return on_device(tensor, *kept_on_); };
    kept = {there(here.content), there(here.f0), there(here.coarse_pitch), there(here.wave), there(here.spectrum)};
  }
  return *kept;
}

RvcPieceTensors RvcPieceStore::made(const RvcPiece& piece) const {
  const c10::NoGradGuard no_grad;
  const auto& model = settings_.model;
  RvcPieceTensors tensors;
  tensors.content = rows_of(dataset_->features(key_of(settings_.content), piece.clip), piece);
  tensors.f0 = rows_of(dataset_->features(key_of(settings_.pitch), piece.clip), piece).squeeze(1);
  const std::span<const float> f0(tensors.f0.const_data_ptr<float>(), static_cast<std::size_t>(piece.n_frames));
  tensors.coarse_pitch = at::tensor(coarse_pitch(f0), at::kLong);
  const auto samples = dataset_->wave(piece.clip, piece.first_frame * model.hop, piece.n_frames * model.hop);
  tensors.wave = at::tensor(samples);
  // Mirrored padding needs more samples than it adds; shorter pieces are analysed with silence after them.
  const bool is_long = piece.n_frames * model.hop > model.n_fft;
  const auto analysed =
      is_long ? piece.n_frames : std::max(model.segment_frames, piece.n_frames + model.n_fft / model.hop);
  const auto padded = at::constant_pad_nd(tensors.wave, {0, analysed * model.hop - tensors.wave.numel()});
  tensors.spectrum =
      linear_spectrogram(padded.unsqueeze(0), vocoder_mel(model))[0].narrow(1, 0, piece.n_frames).contiguous();
  return tensors;
}

}  // namespace melisma
