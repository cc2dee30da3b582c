#include "data/effects/rates.h"

#include <vector>

#include "data/audio/resample.h"

namespace melisma {
namespace {

class ThereAndBack final : public ElasticEffect {
 public:
  ThereAndBack(const ResampleSettings& settings, const SignalShape& shape) : ElasticEffect(shape) {
    for (std::int64_t c = 0; c < shape.n_channels; ++c) {
      channels_.push_back({StreamResampler(shape.sample_rate_hz, settings.rate_hz),
                           StreamResampler(settings.rate_hz, shape.sample_rate_hz)});
    }
  }

 private:
  struct Channel {
    StreamResampler there, back;
  };

  void feed(const Waveform& block, std::vector<std::vector<float>>& made) override {
    for (std::size_t c = 0; c < channels_.size(); ++c) {
      std::vector<float> there;
      channels_[c].there.push(block.channel(static_cast<std::int64_t>(c)), there);
      channels_[c].back.push(there, made[c]);
    }
  }

  bool drain(std::vector<std::vector<float>>& made) override {
    for (std::size_t c = 0; c < channels_.size(); ++c) {
      std::vector<float> there;
      channels_[c].there.finish(there);
      channels_[c].back.push(there, made[c]);
      channels_[c].back.finish(made[c]);
    }
    return false;
  }

  std::vector<Channel> channels_;
};

}  // namespace

std::unique_ptr<Effect> make_effect(const ResampleSettings& settings, const SignalShape& shape) {
  return std::make_unique<ThereAndBack>(settings, shape);
}

}  // namespace melisma
