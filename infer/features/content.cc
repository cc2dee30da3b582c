#include "infer/features/content.h"

#include <algorithm>
#include <cmath>

#include "infer/features/mono16k.h"
#include "infer/features/pitch.h"
#include "tools/base/table.h"

namespace melisma {
namespace content_detail {
namespace {

const ContentMethod& method_of(const ContentConfig& config) {
  return find_row(kContentMethods, config.method, "content method");
}

}  // namespace
}  // namespace content_detail

static_assert(kContentMethods.size() == kContentMethodNames.size() &&
              kContentMethods[0].name == kContentMethodNames[0] && kContentMethods[1].name == kContentMethodNames[1]);

std::int64_t content_width(const ContentConfig& config) { return content_detail::method_of(config).width(config); }

std::int64_t usual_content_width(const ContentConfig& config) {
  return content_detail::method_of(config).usual_width(config);
}

std::int64_t content_frames_a_row(const ContentConfig& config) {
  return content_detail::method_of(config).frames_a_row;
}

bool content_needs_weights(const ContentConfig& config) { return content_detail::method_of(config).needs_weights; }

std::vector<FeatureMatrix> extract_raw_content(ContentClips clips, const ContentConfig& config, int threads) {
  return content_detail::method_of(config).extract_raw(clips, config, threads);
}

FeatureMatrix extract_raw_content(std::span<const float> wave_16k, const ContentConfig& config, int threads) {
  return extract_raw_content(ContentClips(&wave_16k, 1), config, threads).front();
}

bool content_is_normalised(const ContentConfig& config) {
  return content_detail::method_of(config).normalise != nullptr;
}

FeatureMatrix normalise_content(const FeatureMatrix& raw, const ContentStatistics& statistics,
                                const ContentConfig& config) {
  return content_detail::method_of(config).normalise(raw, statistics, config);
}

FeatureMatrix extract_content(std::span<const float> wave_16k, const ContentConfig& config, int threads) {
  auto features = extract_raw_content(wave_16k, config, threads);
  if (content_is_normalised(config)) {
    ContentStatistics statistics;
    statistics.add(features);
    features = normalise_content(features, statistics, config);
  }
  const auto n_frames = feature_frames(std::ssize(wave_16k), kFeatureRateHz);
  const auto frames_a_row = content_frames_a_row(config);
  return frames_a_row == 1 ? features : repeat_rows(features, frames_a_row, n_frames);
}

FeatureMatrix extract_content(const Waveform& wave, const ContentConfig& config, int threads) {
  auto features = extract_content(mono_at_16k(wave), config, threads);
  features.n_frames = feature_frames(wave.n_frames(), wave.sample_rate_hz);
  features.values.resize(static_cast<std::size_t>(features.n_frames * features.width));
  return features;
}

void ContentStatistics::add(const FeatureMatrix& raw) {
  const auto width = static_cast<std::size_t>(raw.width);
  if (sum_.empty()) sum_.assign(width, 0), sum_of_squares_.assign(width, 0);
  float loudest = -std::numeric_limits<float>::infinity();  // column 0 is the level in nepers of power
  for (std::size_t i = 0; i < raw.values.size(); i += width) loudest = std::max(loudest, raw.values[i]);
  const auto threshold = loudest - 4 * std::log(10.0F);  // 40 dB
  for (std::size_t i = 0; i < raw.values.size(); i += width) {
    if (raw.values[i] < threshold) continue;
    frames_ += 1;
    for (std::size_t column = 0; column < width; ++column) {
      const double value = raw.values[i + column];
      sum_[column] += value;
      sum_of_squares_[column] += value * value;
    }
  }
}

void ContentStatistics::merge(const ContentStatistics& other) {
  if (other.sum_.empty()) return;
  if (sum_.empty()) {
    *this = other;
    return;
  }
  frames_ += other.frames_;
  for (std::size_t i = 0; i < sum_.size(); ++i) {
    sum_[i] += other.sum_[i];
    sum_of_squares_[i] += other.sum_of_squares_[i];
  }
}

double ContentStatistics::mean(std::int64_t column) const {
  return frames_ == 0 ? 0 : sum_[static_cast<std::size_t>(column)] / frames_;
}

double ContentStatistics::deviation(std::int64_t column) const {
  if (frames_ == 0) return 1;
  const auto m = mean(column);
  return std::sqrt(std::max(0.0, sum_of_squares_[static_cast<std::size_t>(column)] / frames_ - m * m));
}

}  // namespace melisma
