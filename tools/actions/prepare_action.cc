#include "tools/actions/prepare_action.h"

#include <ATen/Parallel.h>

#include <array>

#include "infer/features/content.h"
#include "infer/features/mel_key.h"
#include "infer/features/pitch.h"
#include "models/layers/device.h"
#include "models/layers/device_pool.h"
#include "models/mix/mel_stream.h"

namespace melisma {
namespace {

FeatureMaker pitch_maker(const PitchConfig& config) {
  const auto extract = [config](std::span<const std::vector<float>> waves_16k) {
    std::vector<FeatureMatrix> made;
    for (const auto& wave : waves_16k) {
      auto f0 = extract_pitch(wave, config, 1);
      const auto n_frames = std::ssize(f0);
      made.push_back({std::move(f0), n_frames, 1});
    }
    return made;
  };
  return {key_of(config), 1, 1, extract, {}};
}

class ContentNormaliser final : public SpeakerNormaliser {
 public:
  explicit ContentNormaliser(const ContentConfig& config) : config_(config) {}
  void add(const FeatureMatrix& raw) override { statistics_.add(raw); }
  [[nodiscard]] FeatureMatrix normalise(const FeatureMatrix& raw) const override {
    return normalise_content(raw, statistics_, config_);
  }

 private:
  ContentConfig config_;
  ContentStatistics statistics_;
};

// The threads that make features are shared out among the devices.
FeatureMaker content_maker(const ContentConfig& config, const std::shared_ptr<DevicePool>& devices) {
  const auto extract = [config, devices](std::span<const std::vector<float>> waves_16k) {
    const auto place = devices->take();
    const DeviceScope scope(place.device());
    const std::vector<std::span<const float>> clips(waves_16k.begin(), waves_16k.end());
    return extract_raw_content(clips, config, 1);
  };
  const DeviceScope first(devices->devices().front());  // a network that is asked for its width is one that is used
  FeatureMaker maker{key_of(config), content_width(config), content_frames_a_row(config), extract, {}};
  if (content_is_normalised(config)) {
    maker.normaliser = [config] { return std::make_unique<ContentNormaliser>(config); };
  }
  return maker;
}

class MelOfTrack final : public TrackFeatures {
 public:
  explicit MelOfTrack(const SongConfig& config) : stream_(config.mel, config.sample_rate_hz) {}
  void push(std::span<const float> mono) override { stream_.push(mono); }
  [[nodiscard]] std::vector<float> finish() override { return stream_.finish(); }

 private:
  MixMelStream stream_;
};

SongFeatureMaker mel_maker(const SongConfig& config) {
  return {.key = mel_key(config.mel, config.sample_rate_hz),
          .width = config.mel.n_mels,
          .storage = FeatureStorage::eight_bit,
          .n_rows = [mel = config.mel](std::int64_t length) { return mix_mel_frames(length, mel); },
          .start = [config] { return std::make_unique<MelOfTrack>(config); }};
}

}  // namespace

int prepare_songs_with_features(const SongOptions& options) {
  at::set_num_threads(1);  // tracks are shared out among the threads
  const std::array makers{mel_maker(options.request.config)};
  return prepare_songs_and_report(options, makers);
}

int prepare_with_features(const PrepareOptions& options) {
  // prepare() keeps every core busy with clips of its own; one thread within each also makes the sums, and so the
  // bytes, the same for any --threads.
  at::set_num_threads(1);
  const auto& config = options.request.config;
  const auto devices = std::make_shared<DevicePool>(open_devices(options.device));
  std::vector<FeatureMaker> makers;
  if (config.with_pitch) makers.push_back(pitch_maker(config.pitch));
  if (config.with_content) makers.push_back(content_maker(config.content, devices));
  return prepare_and_report(options, makers);
}

}  // namespace melisma
