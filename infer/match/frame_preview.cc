#include "infer/match/frame_preview.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tools/base/error.h"

namespace melisma {
namespace frame_preview_detail {
namespace {

constexpr auto kFrame = static_cast<std::size_t>(FramePreview::kFrame);
constexpr auto kOverlap = static_cast<std::size_t>(FramePreview::kOverlap);
constexpr auto kHop = static_cast<std::size_t>(FramePreview::kHop);

// From the tail of the last frame into this one, in place.
void cross(std::vector<double>& frame, const std::vector<double>& tail, const std::vector<double>& rise) {
  for (std::size_t i = 0; i < kOverlap; ++i) frame[i] = tail[i] + rise[i] * (frame[i] - tail[i]);
}

}  // namespace
}  // namespace frame_preview_detail

FramePreview::FramePreview(const std::vector<StemTrack>& tracks, MixControls controls,
                           const std::optional<LimiterSettings>& limiter)
    : tracks_(tracks),
      controls_(std::move(controls)),
      limiter_settings_(limiter),
      n_frames_(n_frames_of(tracks)),
      sample_rate_hz_(tracks.empty() ? 44100 : tracks.front().dry.sample_rate_hz) {
  using namespace frame_preview_detail;
  require_fitting(controls_);
  for (std::size_t i = 0; i < kOverlap; ++i) {
    rise_.push_back(0.5 - 0.5 * std::cos(std::numbers::pi * (static_cast<double>(i) + 0.5) / kOverlap));
  }
  frame_ = {std::vector<double>(kFrame), std::vector<double>(kFrame), sample_rate_hz_};
  tail_ = {std::vector<double>(kOverlap), std::vector<double>(kOverlap), sample_rate_hz_};
  seek(0);
}

void FramePreview::require_fitting(const MixControls& controls) const {
  if (controls.stems.size() != tracks_.size()) {
    fail(ErrorKind::config, "{} controls for {} stems; give one a stem", controls.stems.size(), tracks_.size());
  }
}

void FramePreview::set(MixControls controls) {
  require_fitting(controls);
  controls_ = std::move(controls);
}

void FramePreview::seek(std::int64_t frame) {
  at_ = std::clamp<std::int64_t>(frame, 0, n_frames_);
  has_tail_ = has_ended_ = false;
  if (limiter_settings_) limiter_ = make_effect(*limiter_settings_, {sample_rate_hz_, 2});
}

bool FramePreview::render(StereoSignal& block) {
  block = {{}, {}, sample_rate_hz_};
  if (limiter_ == nullptr) return render_hop(block);
  while (block.left.empty()) {
    StereoSignal hop;
    const bool is_end = !render_hop(hop);
    if (is_end && has_ended_) return false;
    has_ended_ = is_end;
    limit(hop, is_end);
    block = std::move(hop);
  }
  return true;
}

bool FramePreview::render_hop(StereoSignal& block) {
  using namespace frame_preview_detail;
  if (at_ >= n_frames_) return false;
  mix_stems(tracks_, controls_, at_, frame_.left, frame_.right);
  if (has_tail_) {
    cross(frame_.left, tail_.left, rise_);
    cross(frame_.right, tail_.right, rise_);
  }
  std::copy(frame_.left.begin() + kHop, frame_.left.end(), tail_.left.begin());
  std::copy(frame_.right.begin() + kHop, frame_.right.end(), tail_.right.begin());
  has_tail_ = true;
  const auto count = std::min<std::int64_t>(kHop, n_frames_ - at_);
  block = {{frame_.left.begin(), frame_.left.begin() + count},
           {frame_.right.begin(), frame_.right.begin() + count},
           sample_rate_hz_};
  at_ += count;
  return true;
}

void FramePreview::limit(StereoSignal& block, bool is_end) {
  StereoSignal limited{{}, {}, sample_rate_hz_};
  const auto take = [&](const Waveform& wave) {
    limited.left.insert(limited.left.end(), wave.channel(0).begin(), wave.channel(0).end());
    limited.right.insert(limited.right.end(), wave.channel(1).begin(), wave.channel(1).end());
  };
  if (is_end) {
    limiter_->finish(take);
  } else {
    Waveform wave{{}, 2, sample_rate_hz_};
    wave.samples.assign(block.left.begin(), block.left.end());
    wave.samples.insert(wave.samples.end(), block.right.begin(), block.right.end());
    limiter_->push(std::move(wave), take);
  }
  block = std::move(limited);
}

}  // namespace melisma
