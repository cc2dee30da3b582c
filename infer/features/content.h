// Content features, what is said without who says it, at 100 frames a second: methods, keys, extraction, normalisation.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/audio/waveform.h"
#include "data/sets/dataset.h"
#include "infer/features/content_config.h"

namespace melisma {

// Clips, mono at 16 kHz.
using ContentClips = std::span<const std::span<const float>>;

// Columns of the features of this configuration; of a network, as its weights have them. Error as extract_content().
[[nodiscard]] std::int64_t content_width(const ContentConfig& config);
// The same without looking at weights: that of the networks people use.
[[nodiscard]] std::int64_t usual_content_width(const ContentConfig& config);
// Frames of 10 ms that one row of raw features stands for.
[[nodiscard]] std::int64_t content_frames_a_row(const ContentConfig& config);
// Whether the features come from a network, whose weights are a file.
[[nodiscard]] bool content_needs_weights(const ContentConfig& config);

// What content features are filed under in a dataset: kind "content", canonical JSON with the settings in use and the
// SHA-256 of the weights, which is read from the file where the configuration does not name it.
[[nodiscard]] FeatureKey key_of(const ContentConfig& config);
// The configuration back from a key's canonical JSON, without a path of weights; Error(data) if it is none.
[[nodiscard]] ContentConfig content_config_of(std::string_view parameters);
// The configuration with the weights of the content features `stored` that equal it otherwise, so that features can be
// used where their weights are not at hand; unchanged if there are none. Error(config) if several differ in their
// weights alone.
[[nodiscard]] ContentConfig content_as_stored(const ContentConfig& config, std::span<const FeatureKey> stored);

// Mono wave at 16 kHz -> floor(samples / 160) frames of content_width columns. A recording of any length; where a
// method normalises, means and variances are those of this recording: give whole recordings, not slices. Recordings
// under 10 ms have no frame. threads as in extract_pitch. Error(checkpoint) for weights that are missing, unreadable or
// not those asked for, Error(config) for settings that contradict each other.
//   cepstral: frame t describes samples [160 t, 160 t + 160), its window is centred on the middle of them.
//   hubert: frames 2r and 2r + 1 describe samples [320 r, 320 r + 400), as in the RVC tools; the last row is held where
//   no more of it fits. Recordings over 32 s are heard in pieces of about 30 s (recording_pieces.h).
[[nodiscard]] FeatureMatrix extract_content(std::span<const float> wave_16k, const ContentConfig& config,
                                            int threads = 0);
// The same of a waveform at any rate: channels averaged, resampled to 16 kHz.
[[nodiscard]] FeatureMatrix extract_content(const Waveform& wave, const ContentConfig& config, int threads = 0);

// The same in steps, for a speaker with many recordings: raw features of each, statistics over all, then normalise
// each, if the method normalises.
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
// One row for content_frames_a_row() frames. A clip's features do not depend on the clips it comes with.
[[nodiscard]] std::vector<FeatureMatrix> extract_raw_content(ContentClips clips, const ContentConfig& config,
                                                             int threads = 0);
[[nodiscard]] FeatureMatrix extract_raw_content(std::span<const float> wave_16k, const ContentConfig& config,
                                                int threads = 0);
[[nodiscard]] bool content_is_normalised(const ContentConfig& config);
[[nodiscard]] FeatureMatrix normalise_content(const FeatureMatrix& raw, const ContentStatistics& statistics,
                                              const ContentConfig& config);

[[nodiscard]] std::int64_t cepstral_content_width(const ContentConfig& config);
[[nodiscard]] std::vector<FeatureMatrix> raw_cepstral_content(ContentClips clips, const ContentConfig& config,
                                                              int threads);
[[nodiscard]] FeatureMatrix normalise_cepstral_content(const FeatureMatrix& raw, const ContentStatistics& statistics,
                                                       const ContentConfig& config);

[[nodiscard]] std::int64_t hubert_content_width(const ContentConfig& config);
[[nodiscard]] std::int64_t usual_hubert_content_width(const ContentConfig& config);
[[nodiscard]] std::vector<FeatureMatrix> raw_hubert_content(ContentClips clips, const ContentConfig& config,
                                                            int threads);

struct ContentMethod {
  std::string_view name, summary;
  int revision;  // counts changes of the code that change the features of equal settings
  bool needs_weights;
  std::int64_t frames_a_row;
  std::int64_t (*width)(const ContentConfig& config);
  std::int64_t (*usual_width)(const ContentConfig& config);
  std::vector<FeatureMatrix> (*extract_raw)(ContentClips clips, const ContentConfig& config, int threads);
  FeatureMatrix (*normalise)(const FeatureMatrix& raw, const ContentStatistics& statistics,
                             const ContentConfig& config);  // nullptr: raw features are the features
};
inline constexpr std::array<ContentMethod, 2> kContentMethods{{
    {"cepstral", "speaker-normalised cepstra and derivatives: the quick start, nothing to download", 3, false, 1,
     &cepstral_content_width, &cepstral_content_width, &raw_cepstral_content, &normalise_cepstral_content},
    {"hubert", "a HuBERT encoder such as ContentVec, as the RVC tools' voices are trained on", 1, true, 2,
     &hubert_content_width, &usual_hubert_content_width, &raw_hubert_content, nullptr},
}};

}  // namespace melisma
