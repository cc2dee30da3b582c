#include "models/mix/mel_stream.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "models/mix/spectrogram_encoder.h"

namespace melisma {
namespace mel_stream {
namespace {

constexpr std::int64_t kFramesAtOnce = 256;

}  // namespace
}  // namespace mel_stream

std::int64_t mix_mel_frames(std::int64_t n_samples, const MixMelConfig& mel) {
  return n_samples > mel.n_fft / 2 ? n_samples / mel.hop + 1 : 0;
}

void MixMelStream::push(std::span<const float> mono) {
  pending_.insert(pending_.end(), mono.begin(), mono.end());
  const auto half = half_frame();
  if (!has_start_) {
    if (std::ssize(pending_) <= half) return;
    const std::vector<float> mirrored(pending_.rend() - half - 1, pending_.rend() - 1);
    pending_.insert(pending_.begin(), mirrored.begin(), mirrored.end());
    has_start_ = true;
  }
  // What finish() mirrors stays.
  const auto wanted = (mel_stream::kFramesAtOnce - 1) * mel_.hop + std::max(mel_.n_fft, mel_.hop) + half + 1;
  while (std::ssize(pending_) >= wanted) make_rows(mel_stream::kFramesAtOnce);
}

std::vector<float> MixMelStream::finish() {
  if (!has_start_) return {};
  const std::vector<float> mirrored(pending_.rbegin() + 1, pending_.rbegin() + 1 + half_frame());
  pending_.insert(pending_.end(), mirrored.begin(), mirrored.end());
  if (std::ssize(pending_) >= mel_.n_fft) make_rows((std::ssize(pending_) - mel_.n_fft) / mel_.hop + 1);
  return std::move(rows_);
}

void MixMelStream::make_rows(std::int64_t n_frames) {
  const c10::InferenceMode no_gradients;
  const auto n_samples = (n_frames - 1) * mel_.hop + mel_.n_fft;
  const auto wave = at::from_blob(pending_.data(), {1, n_samples}, at::kFloat);
  const auto db = mix_mel_db(wave, mel_, sample_rate_hz_, Padding::none)[0].t().contiguous();  // [frames, n_mels]
  rows_.insert(rows_.end(), db.const_data_ptr<float>(), db.const_data_ptr<float>() + db.numel());
  pending_.erase(pending_.begin(), pending_.begin() + std::min(n_frames * mel_.hop, std::ssize(pending_)));
}

}  // namespace melisma
