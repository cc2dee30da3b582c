// A sound effect: takes a signal block by block and gives it back changed, as long as it was and in its place.
#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "data/audio/waveform.h"

namespace melisma {

// What an effect is made for.
struct SignalShape {
  std::int64_t sample_rate_hz = 0;
  std::int64_t n_channels = 1;
  std::filesystem::path folder;  // where relative paths of settings begin: that of the chain's file
};

using TakeAudio = std::function<void(Waveform)>;

// Protocol:
//   auto effect = make_effect(DelaySettings{}, {.sample_rate_hz = 44100, .n_channels = 2});
//   while (...) effect->push(block, take);
//   effect->finish(take);
// All that is taken together has as many frames as all that was pushed, whatever an effect looks ahead: an event at
// frame n comes out at frame n (a delay's echoes are later on purpose). The blocks' sizes do not change a bit of it.
// Memory does not grow with the signal, but for what an encoder keeps.
class Effect {
 public:
  virtual ~Effect() = default;
  // Takes a block of the shape's channels, gives what the signal so far determines.
  virtual void push(Waveform block, const TakeAudio& take) = 0;
  // The end of the signal: gives the rest. Nothing may follow.
  virtual void finish(const TakeAudio& take) = 0;
};

// An effect that gives each sample at once.
class InPlaceEffect : public Effect {
 public:
  void push(Waveform block, const TakeAudio& take) final {
    change(block);
    take(std::move(block));
  }
  void finish(const TakeAudio&) final {}

 private:
  virtual void change(Waveform& block) = 0;
};

// An effect whose samples come a fixed number of frames late: the first of them are dropped, and silence after the end
// brings out the last.
class LateEffect : public Effect {
 public:
  void push(Waveform block, const TakeAudio& take) final {
    change(block);
    const auto n_dropped = std::min(n_to_drop_, block.n_frames());
    n_to_drop_ -= n_dropped;
    if (n_dropped == 0) return take(std::move(block));
    Waveform rest{.n_channels = block.n_channels, .sample_rate_hz = block.sample_rate_hz};
    for (std::int64_t c = 0; c < block.n_channels; ++c) {
      const auto kept = block.channel(c).subspan(static_cast<std::size_t>(n_dropped));
      rest.samples.insert(rest.samples.end(), kept.begin(), kept.end());
    }
    take(std::move(rest));
  }
  void finish(const TakeAudio& take) final {
    push({std::vector<float>(static_cast<std::size_t>(latency_ * n_channels_)), n_channels_, sample_rate_hz_}, take);
  }

 protected:
  LateEffect(const SignalShape& shape, std::int64_t latency_frames)
      : n_channels_(shape.n_channels),
        sample_rate_hz_(shape.sample_rate_hz),
        latency_(latency_frames),
        n_to_drop_(latency_frames) {}

 private:
  virtual void change(Waveform& block) = 0;
  std::int64_t n_channels_, sample_rate_hz_, latency_, n_to_drop_;
};

// An effect that gives its samples in irregular portions.
class ElasticEffect : public Effect {
 public:
  void push(Waveform block, const TakeAudio& take) final;
  void finish(const TakeAudio& take) final;

 protected:
  explicit ElasticEffect(const SignalShape& shape);
  // Appends to each channel of `made` whatever a block of the channels determines.
  virtual void feed(const Waveform& block, std::vector<std::vector<float>>& made) = 0;
  // The same at the end of the signal, called until it returns false: nothing is left.
  virtual bool drain(std::vector<std::vector<float>>& made) = 0;

 private:
  void hand_on(const TakeAudio& take);
  std::int64_t sample_rate_hz_, n_owed_ = 0;
  std::vector<std::vector<float>> made_;  // [channels], not handed on yet
};

// Samples that last `ms` at a rate, to the nearest.
[[nodiscard]] inline std::int64_t frames_of_ms(double ms, std::int64_t sample_rate_hz) {
  return static_cast<std::int64_t>(ms * static_cast<double>(sample_rate_hz) / 1000 + 0.5);
}

// Throws Error(config) unless a filter's corner lies below half the sample rate.
void require_below_nyquist(std::string_view what, double frequency_hz, const SignalShape& shape);

}  // namespace melisma
