#include "infer/convert/volume_envelope.h"

#include <algorithm>
#include <cmath>

namespace melisma {
namespace volume_envelope_detail {
namespace {

// The frame a sample lies behind and how far: n_frames spread over all samples, the first and the last half a step
// inside (torch.nn.functional.interpolate, linear).
struct Place {
  std::int64_t frame;
  double part;
};

Place place_of(std::int64_t sample, std::int64_t n_frames, std::int64_t n_samples) {
  const double at =
      (static_cast<double>(sample) + 0.5) * static_cast<double>(n_frames) / static_cast<double>(n_samples);
  const double inside = std::max(at - 0.5, 0.0);
  const auto frame = std::min(static_cast<std::int64_t>(inside), n_frames - 1);
  return {frame, inside - static_cast<double>(frame)};
}

}  // namespace
}  // namespace volume_envelope_detail

using namespace volume_envelope_detail;

VolumeEnvelope::VolumeEnvelope(std::span<const float> source, std::int64_t source_rate_hz, std::int64_t n_samples,
                               std::int64_t sample_rate_hz, double keep)
    : keep_(keep),
      n_samples_(n_samples),
      n_own_(1 + n_samples / (sample_rate_hz / 2)),
      source_(frame_rms(source, source_rate_hz / 2 * 2, source_rate_hz / 2)),
      own_(sample_rate_hz / 2 * 2, sample_rate_hz / 2) {}

double VolumeEnvelope::between(std::span<const double> frames, std::int64_t n_frames, std::int64_t sample) const {
  const auto [frame, part] = place_of(sample, n_frames, n_samples_);
  const auto next = std::min(frame + 1, n_frames - 1);
  const double here = frames[static_cast<std::size_t>(frame)];
  return here + part * (frames[static_cast<std::size_t>(next)] - here);
}

void VolumeEnvelope::scale_known(std::span<const double> own, bool is_all, std::vector<float>& out) {
  constexpr double kQuietest = 1e-6;
  std::size_t n = 0;
  for (; n < waiting_.size(); ++n, ++n_done_) {
    const auto needed = std::min(place_of(n_done_, n_own_, n_samples_).frame + 1, n_own_ - 1);
    if (!is_all && needed >= std::ssize(own)) break;
    const double source = between(source_, std::ssize(source_), n_done_);
    const double made = std::max(between(own, n_own_, n_done_), kQuietest);
    out.push_back(static_cast<float>(waiting_[n] * std::pow(source, 1 - keep_) * std::pow(made, keep_ - 1)));
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n));
}

void VolumeEnvelope::push(std::span<const float> samples, std::vector<float>& out) {
  own_.push(samples);
  waiting_.insert(waiting_.end(), samples.begin(), samples.end());
  scale_known(own_.frames_so_far(), false, out);
}

void VolumeEnvelope::finish(std::vector<float>& out) {
  auto own = own_.finish();
  own.resize(static_cast<std::size_t>(n_own_), 0.0);
  scale_known(own, true, out);
}

}  // namespace melisma
