// TensorBoard event files: records with checksums, and what is in them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/base/event.h"

namespace melisma {

// A record: length (8 bytes, little-endian), its masked CRC-32C (4), `data`, its masked CRC-32C (4).
[[nodiscard]] std::string tfevents_record(std::string_view data);

// Serialised events, as they go into records. `wall_time` is in seconds since 1970.
[[nodiscard]] std::string tfevents_header(double wall_time);
[[nodiscard]] std::string tfevents_restart(double wall_time, std::int64_t first_step);
[[nodiscard]] std::string tfevents_scalar(double wall_time, std::int64_t step, std::string_view tag, float value);
[[nodiscard]] std::string tfevents_audio(double wall_time, const AudioEvent& audio);
[[nodiscard]] std::string tfevents_image(double wall_time, const ImageEvent& image);
[[nodiscard]] std::string tfevents_text(double wall_time, std::int64_t step, std::string_view tag,
                                        std::string_view markdown);
// The two messages of the hparams page: what there is to compare, and this run's settings.
[[nodiscard]] std::vector<std::string> tfevents_hyperparameters(double wall_time, const HyperparametersEvent& event);

struct TfHistogram {
  double min = 0, max = 0, num = 0, sum = 0, sum_squares = 0;
  std::vector<double> bucket_limit, bucket;  // bucket i counts values in [bucket_limit i-1, bucket_limit i)
};
[[nodiscard]] std::string tfevents_histogram(double wall_time, std::int64_t step, std::string_view tag,
                                             const TfHistogram& histogram);
// TensorFlow's buckets (edges grow by 1.1 from 1e-12 both ways), cut to those that hold something; values that are not
// finite are left out. As torch.utils.tensorboard.summary.make_histogram.
[[nodiscard]] TfHistogram tf_histogram_of(std::span<const float> values);

// One summary value of an event that was read. `kind` says which of the rest is meant: "scalar", "audio", "image",
// "histogram", "tensor" or "".
struct TfValue {
  std::string tag, kind, plugin, plugin_content;
  float scalar = 0;
  TfHistogram histogram;
  std::int64_t height = 0, width = 0;              // image
  std::int64_t sample_rate_hz = 0, n_samples = 0;  // audio
  std::string encoded;                             // of image or audio
  std::vector<std::string> strings;                // of a tensor
};

struct TfEvent {
  std::uint64_t offset = 0, length = 0;  // of the record, and of its data
  double wall_time = 0;
  std::int64_t step = 0;
  std::string file_version;
  bool is_restart = false;
  std::vector<TfValue> values;
};

// The events up to the end or to the first record that is cut short or damaged. `stopped` says why, "" at a clean end.
// Throws Error(data) only if the file cannot be read at all.
struct TfEvents {
  std::vector<TfEvent> events;
  std::string stopped;
};
[[nodiscard]] TfEvents read_tfevents(const std::filesystem::path& path);
[[nodiscard]] TfEvents parse_tfevents(std::string_view bytes);

}  // namespace melisma
