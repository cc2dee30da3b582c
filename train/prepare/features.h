// Features of clips, in blocks that are kept in the cache: an interrupted preparation loses one block a thread.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/sets/dataset_writer.h"
#include "tools/base/event.h"
#include "train/prepare/part.h"

namespace melisma {

// Statistics over what a speaker trains on, and features brought to them.
class SpeakerNormaliser {
 public:
  virtual ~SpeakerNormaliser() = default;
  virtual void add(const FeatureMatrix& raw) = 0;
  [[nodiscard]] virtual FeatureMatrix normalise(const FeatureMatrix& raw) const = 0;
};

// One feature set to be made. This room includes no Torch: whoever calls prepare() brings the functions.
struct FeatureMaker {
  FeatureKey key;
  std::int64_t width = 0;
  std::int64_t frames_a_row = 1;  // frames of 10 ms that a row stands for
  // Clips, mono at 16 kHz -> a matrix each, of at least the rows that n_feature_frames() takes and of `width` unless a
  // normaliser brings them to it. Called from several threads, one thread each.
  std::function<std::vector<FeatureMatrix>(std::span<const std::vector<float>> waves_16k)> extract;
  // Empty: features are stored as extracted.
  std::function<std::unique_ptr<SpeakerNormaliser>()> normaliser;
};

// A kept recording and where its part lies.
struct PreparedRecording {
  std::filesystem::path part_path;
  Part part;
  std::int64_t speaker = 0;
  Split split = Split::train;
};

inline constexpr std::size_t kClipsPerBlock = 16;

// The cached features of clips [block * 16, ...) of a part; one matrix a clip.
[[nodiscard]] std::vector<FeatureMatrix> read_feature_block(const PreparedRecording& recording, const FeatureKey& key,
                                                            std::size_t block);

// Whether the cached features hold anything but zeros; of pitch: whether there is a voiced frame.
[[nodiscard]] bool has_any_value(std::span<const PreparedRecording> recordings, const FeatureKey& key);

// Makes what the cache lacks, on `threads` threads; says how far it is. Returns {blocks made, blocks found}; throws
// Error(interrupted) when a stop is requested.
struct BlockCounts {
  std::int64_t made = 0, found = 0;
};
BlockCounts make_features(std::span<const PreparedRecording> recordings, std::span<const FeatureMaker> makers,
                          std::int64_t sample_rate_hz, WaveStorage storage, int threads, EventSink& events);

// The statistics of one speaker over the train clips, or over all clips if none of them trains.
[[nodiscard]] std::unique_ptr<SpeakerNormaliser> normaliser_of(std::span<const PreparedRecording> recordings,
                                                               std::int64_t speaker, const FeatureMaker& maker);

}  // namespace melisma
