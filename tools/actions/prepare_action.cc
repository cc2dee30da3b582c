#include "tools/actions/prepare_action.h"

#include <ATen/Parallel.h>

#include "infer/features/content.h"
#include "infer/features/pitch.h"

namespace melisma {
namespace {

FeatureMaker pitch_maker(const PitchConfig& config) {
  const auto extract = [config](std::span<const float> wave_16k) {
    auto f0 = extract_pitch(wave_16k, config, 1);
    const auto n_frames = std::ssize(f0);
    return FeatureMatrix{std::move(f0), n_frames, 1};
  };
  return {key_of(config), 1, extract, {}};
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

FeatureMaker content_maker(const ContentConfig& config) {
  const auto extract = [config](std::span<const float> wave_16k) { return extract_raw_content(wave_16k, config, 1); };
  return {key_of(config), content_width(config), extract,
          [config] { return std::make_unique<ContentNormaliser>(config); }};
}

}  // namespace

int prepare_with_features(const PrepareOptions& options) {
  // prepare() keeps every core busy with clips of its own; one thread within each also makes the sums, and so the
  // bytes, the same for any --threads.
  at::set_num_threads(1);
  const auto& config = options.request.config;
  std::vector<FeatureMaker> makers;
  if (config.with_pitch) makers.push_back(pitch_maker(config.pitch));
  if (config.with_content) makers.push_back(content_maker(config.content));
  return prepare_and_report(options, makers);
}

}  // namespace melisma
