// Content features, what is said without who says it, at 100 frames a second: methods, settings, normalisation.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "data/audio/waveform.h"
#include "data/sets/dataset.h"
#include "tools/config/fields.h"

namespace melisma {

// Names of kContentMethods below.
inline constexpr std::array<std::string_view, 1> kContentMethodNames{"cepstral"};

struct ContentConfig {
  std::string method = "cepstral";
  std::int64_t bands = 40;
  std::int64_t coefficients = 16;
  std::int64_t delta_frames = 9;
  bool tract_normalisation = true;
  static constexpr auto fields() {
    return std::tuple{
        field("method", &ContentConfig::method, "what content features are made of").choices(kContentMethodNames),
        field("bands", &ContentConfig::bands, "mel bands below the cepstrum").range(16, 128),
        field("coefficients", &ContentConfig::coefficients,
              "cepstral coefficients kept; few smooth the harmonics of the pitch away, many keep more of the vowel")
            .range(4, 64),
        field("delta_frames", &ContentConfig::delta_frames, "width of the time derivative (odd); 0 = no derivatives")
            .unit("frames")
            .range(0, 31),
        field("tract_normalisation", &ContentConfig::tract_normalisation,
              "move each recording's formants to where an average speaker has them"),
    };
  }
  bool operator==(const ContentConfig&) const = default;
};

// Columns of the features of this configuration.
[[nodiscard]] std::int64_t content_width(const ContentConfig& config);

// What content features are filed under in a dataset: kind "content", canonical JSON.
[[nodiscard]] FeatureKey key_of(const ContentConfig& config);
// The configuration back from a key's canonical JSON; Error(data) if it is none.
[[nodiscard]] ContentConfig content_config_of(std::string_view parameters);

// Mono wave at 16 kHz -> floor(samples / 160) frames of content_width columns. Frame t describes samples [160 t, 160 t
// + 160): its window is centred on the middle of them. Means and variances are those of this recording: give whole
// recordings, not slices. Recordings under 10 ms have no frame. threads as in extract_pitch.
[[nodiscard]] FeatureMatrix extract_content(std::span<const float> wave_16k, const ContentConfig& config,
                                            int threads = 0);
// The same of a waveform at any rate: channels averaged, resampled to 16 kHz.
[[nodiscard]] FeatureMatrix extract_content(const Waveform& wave, const ContentConfig& config, int threads = 0);

// The same in steps, for a speaker with many recordings: raw features of each, statistics over all, then normalise
// each.
//   ContentStatistics speaker;
//   for (auto& recording : recordings) speaker.add(raw[i] = extract_raw_content(recording, config));
//   for (auto& features : raw) features = normalise_content(features, speaker, config);
class ContentStatistics {
 public:
  // One recording's raw features; frames 40 dB below its loudest count for nothing.
  void add(const FeatureMatrix& raw);
  void merge(const ContentStatistics& other);
  [[nodiscard]] double frames() const { return frames_; }
  [[nodiscard]] double mean(std::int64_t column) const;
  [[nodiscard]] double deviation(std::int64_t column) const;

 private:
  double frames_ = 0;
  std::vector<double> sum_, sum_of_squares_;
};
[[nodiscard]] FeatureMatrix extract_raw_content(std::span<const float> wave_16k, const ContentConfig& config,
                                                int threads = 0);
[[nodiscard]] FeatureMatrix normalise_content(const FeatureMatrix& raw, const ContentStatistics& statistics,
                                              const ContentConfig& config);

[[nodiscard]] FeatureMatrix raw_cepstral_content(std::span<const float> wave_16k, const ContentConfig& config,
                                                 int threads);
[[nodiscard]] FeatureMatrix normalise_cepstral_content(const FeatureMatrix& raw, const ContentStatistics& statistics,
                                                       const ContentConfig& config);
[[nodiscard]] std::int64_t cepstral_content_width(const ContentConfig& config);

struct ContentMethod {
  std::string_view name, summary;
  std::int64_t (*width)(const ContentConfig& config);
  FeatureMatrix (*extract_raw)(std::span<const float> wave_16k, const ContentConfig& config, int threads);
  FeatureMatrix (*normalise)(const FeatureMatrix& raw, const ContentStatistics& statistics,
                             const ContentConfig& config);
};
inline constexpr std::array<ContentMethod, 1> kContentMethods{{
    {"cepstral", "speaker-normalised cepstra and derivatives: the quick start, nothing to download",
     &cepstral_content_width, &raw_cepstral_content, &normalise_cepstral_content},
}};

}  // namespace melisma
