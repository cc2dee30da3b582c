#include "data/effects/effect.h"

#include "tools/base/error.h"

namespace melisma {

ElasticEffect::ElasticEffect(const SignalShape& shape)
    : sample_rate_hz_(shape.sample_rate_hz), made_(static_cast<std::size_t>(shape.n_channels)) {}

// Whatever is there, but never more than was taken.
void ElasticEffect::hand_on(const TakeAudio& take) {
  const auto n_frames = std::min(n_owed_, std::ssize(made_.front()));
  if (n_frames <= 0) return;
  Waveform block{.n_channels = std::ssize(made_), .sample_rate_hz = sample_rate_hz_};
  for (auto& channel : made_) {
    block.samples.insert(block.samples.end(), channel.begin(), channel.begin() + n_frames);
    channel.erase(channel.begin(), channel.begin() + n_frames);
  }
  n_owed_ -= n_frames;
  take(std::move(block));
}

void ElasticEffect::push(Waveform block, const TakeAudio& take) {
  n_owed_ += block.n_frames();
  feed(block, made_);
  hand_on(take);
}

void ElasticEffect::finish(const TakeAudio& take) {
  while (drain(made_)) hand_on(take);
  for (auto& channel : made_) channel.resize(static_cast<std::size_t>(n_owed_));  // cut, or silence after the end
  hand_on(take);
}

void require_below_nyquist(std::string_view what, double frequency_hz, const SignalShape& shape) {
  const double nyquist_hz = static_cast<double>(shape.sample_rate_hz) / 2;
  if (frequency_hz < nyquist_hz) return;
  fail(ErrorKind::config, "the {} of {} Hz is not below half the sample rate, {} Hz", what, frequency_hz, nyquist_hz);
}

}  // namespace melisma
