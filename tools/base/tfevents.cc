#include "tools/base/tfevents.h"

#include <fmt/format.h>
#include <tfevents.pb.h>

#include <charconv>

#include "tools/base/atomic_file.h"
#include "tools/base/crc32c.h"
#include "tools/base/media.h"

namespace melisma {
namespace {

constexpr int kStringTensor = 7;

void append_integer(std::string& bytes, std::uint64_t value, int n) {
  for (int i = 0; i < n; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

std::uint64_t integer_at(std::string_view bytes, std::size_t at, int n) {
  std::uint64_t value = 0;
  for (int i = 0; i < n; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)])) << (8 * i);
  }
  return value;
}

tfevents::Event event_at(double wall_time, std::int64_t step) {
  tfevents::Event event;
  event.set_wall_time(wall_time);
  event.set_step(step);
  return event;
}

tfevents::Summary::Value& value_of(tfevents::Event& event, std::string_view tag) {
  auto& value = *event.mutable_summary()->add_value();
  value.set_tag(std::string(tag));
  return value;
}

std::string hparams_event(double wall_time, std::string_view tag, const tfevents::HparamsPluginData& data) {
  auto event = event_at(wall_time, 0);
  auto& plugin = *value_of(event, tag).mutable_metadata()->mutable_plugin_data();
  plugin.set_plugin_name("hparams");
  plugin.set_content(data.SerializeAsString());
  return event.SerializeAsString();
}

// Numbers and booleans as what they are, so that the page can sort and filter by them.
void set_hparam(const std::string& text, tfevents::HparamValue& value, tfevents::HparamInfo& info) {
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text == "true" || text == "false") {
    value.set_bool_value(text == "true");
    info.set_type(2);
  } else if (problem == std::errc() && end == text.data() + text.size()) {
    value.set_number_value(number);
    info.set_type(3);
  } else {
    const bool is_quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
    value.set_string_value(is_quoted ? text.substr(1, text.size() - 2) : text);
    info.set_type(1);
  }
}

TfHistogram read_histogram(const tfevents::HistogramProto& histo) {
  return {.min = histo.min(),
          .max = histo.max(),
          .num = histo.num(),
          .sum = histo.sum(),
          .sum_squares = histo.sum_squares(),
          .bucket_limit = {histo.bucket_limit().begin(), histo.bucket_limit().end()},
          .bucket = {histo.bucket().begin(), histo.bucket().end()}};
}

TfValue read_value(const tfevents::Summary::Value& from) {
  TfValue value;
  value.tag = from.tag();
  value.plugin = from.metadata().plugin_data().plugin_name();
  value.plugin_content = from.metadata().plugin_data().content();
  switch (from.value_case()) {
    case tfevents::Summary::Value::kSimpleValue:
      value.kind = "scalar";
      value.scalar = from.simple_value();
      break;
    case tfevents::Summary::Value::kImage:
      value.kind = "image";
      value.height = from.image().height();
      value.width = from.image().width();
      value.encoded = from.image().encoded_image_string();
      break;
    case tfevents::Summary::Value::kHisto:
      value.kind = "histogram";
      value.histogram = read_histogram(from.histo());
      break;
    case tfevents::Summary::Value::kAudio:
      value.kind = "audio";
      value.sample_rate_hz = static_cast<std::int64_t>(from.audio().sample_rate());
      value.n_samples = from.audio().length_frames();
      value.encoded = from.audio().encoded_audio_string();
      break;
    case tfevents::Summary::Value::kTensor:
      value.kind = "tensor";
      value.strings = {from.tensor().string_val().begin(), from.tensor().string_val().end()};
      break;
    case tfevents::Summary::Value::VALUE_NOT_SET:
      break;
  }
  return value;
}

}  // namespace

std::string tfevents_record(std::string_view data) {
  std::string record;
  record.reserve(data.size() + 16);
  append_integer(record, data.size(), 8);
  append_integer(record, masked_crc32c(record), 4);
  record.append(data);
  append_integer(record, masked_crc32c(data), 4);
  return record;
}

std::string tfevents_header(double wall_time) {
  auto event = event_at(wall_time, 0);
  event.set_file_version("brain.Event:2");
  return event.SerializeAsString();
}

std::string tfevents_restart(double wall_time, std::int64_t first_step) {
  auto event = event_at(wall_time, first_step);
  event.mutable_session_log()->set_status(tfevents::SessionLog::START);
  return event.SerializeAsString();
}

std::string tfevents_scalar(double wall_time, std::int64_t step, std::string_view tag, float value) {
  auto event = event_at(wall_time, step);
  value_of(event, tag).set_simple_value(value);
  return event.SerializeAsString();
}

std::string tfevents_audio(double wall_time, const AudioEvent& audio) {
  auto event = event_at(wall_time, audio.step);
  auto& sound = *value_of(event, audio.tag).mutable_audio();
  sound.set_sample_rate(static_cast<float>(audio.sample_rate_hz));
  sound.set_num_channels(1);
  sound.set_length_frames(static_cast<std::int64_t>(audio.samples.size()));
  sound.set_encoded_audio_string(wav_bytes(audio.samples, audio.sample_rate_hz));
  sound.set_content_type("audio/wav");
  return event.SerializeAsString();
}

std::string tfevents_image(double wall_time, const ImageEvent& image) {
  auto event = event_at(wall_time, image.step);
  auto& picture = *value_of(event, image.tag).mutable_image();
  picture.set_height(static_cast<std::int32_t>(image.height));
  picture.set_width(static_cast<std::int32_t>(image.width));
  picture.set_colorspace(3);
  picture.set_encoded_image_string(png_bytes(image.rgb, image.height, image.width));
  return event.SerializeAsString();
}

std::string tfevents_histogram(double wall_time, std::int64_t step, std::string_view tag,
                               const TfHistogram& histogram) {
  auto event = event_at(wall_time, step);
  auto& histo = *value_of(event, tag).mutable_histo();
  histo.set_min(histogram.min);
  histo.set_max(histogram.max);
  histo.set_num(histogram.num);
  histo.set_sum(histogram.sum);
  histo.set_sum_squares(histogram.sum_squares);
  histo.mutable_bucket_limit()->Add(histogram.bucket_limit.begin(), histogram.bucket_limit.end());
  histo.mutable_bucket()->Add(histogram.bucket.begin(), histogram.bucket.end());
  return event.SerializeAsString();
}

std::string tfevents_text(double wall_time, std::int64_t step, std::string_view tag, std::string_view markdown) {
  auto event = event_at(wall_time, step);
  auto& value = value_of(event, fmt::format("{}/text_summary", tag));
  value.mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  auto& tensor = *value.mutable_tensor();
  tensor.set_dtype(kStringTensor);
  tensor.mutable_tensor_shape()->add_dim()->set_size(1);
  tensor.add_string_val(std::string(markdown));
  return event.SerializeAsString();
}

std::vector<std::string> tfevents_hyperparameters(double wall_time, const HyperparametersEvent& event) {
  tfevents::HparamsPluginData experiment, session;
  experiment.mutable_experiment()->set_time_created_secs(wall_time);
  session.mutable_session_start_info()->set_start_time_secs(wall_time);
  for (const auto& [name, text] : event.settings) {
    auto& info = *experiment.mutable_experiment()->add_hparam_infos();
    info.set_name(name);
    auto& entry = *session.mutable_session_start_info()->add_hparams();
    entry.set_key(name);
    set_hparam(text, *entry.mutable_value(), info);
  }
  for (const auto& metric : event.metrics) {
    experiment.mutable_experiment()->add_metric_infos()->mutable_name()->set_tag(metric);
  }
  return {hparams_event(wall_time, "_hparams_/experiment", experiment),
          hparams_event(wall_time, "_hparams_/session_start_info", session)};
}

TfEvents parse_tfevents(std::string_view bytes) {
  TfEvents read;
  std::size_t at = 0;
  const auto stop = [&](std::string_view why) {
    read.stopped = fmt::format("record {} at byte {} {}", read.events.size(), at, why);
  };
  while (at < bytes.size()) {
    const auto left = bytes.size() - at;
    if (left < 12) return stop("is cut short"), read;
    const auto length = integer_at(bytes, at, 8);
    if (integer_at(bytes, at + 8, 4) != masked_crc32c(bytes.substr(at, 8))) return stop("has a damaged length"), read;
    if (left < 16 || length > left - 16) return stop("is cut short"), read;
    const auto data = bytes.substr(at + 12, length);
    if (integer_at(bytes, at + 12 + length, 4) != masked_crc32c(data)) return stop("has damaged data"), read;
    tfevents::Event message;
    if (!message.ParseFromArray(data.data(), static_cast<int>(data.size()))) return stop("is no event"), read;
    TfEvent event{.offset = at,
                  .length = length,
                  .wall_time = message.wall_time(),
                  .step = message.step(),
                  .file_version = message.file_version(),
                  .is_restart = message.session_log().status() == tfevents::SessionLog::START,
                  .values = {}};
    for (const auto& value : message.summary().value()) event.values.push_back(read_value(value));
    read.events.push_back(std::move(event));
    at += 16 + length;
  }
  return read;
}

TfEvents read_tfevents(const std::filesystem::path& path) { return parse_tfevents(read_file(path)); }

}  // namespace melisma
