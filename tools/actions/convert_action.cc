#include "tools/actions/convert_action.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/audio/audio_writer.h"
#include "data/signal/thread_limit.h"
#include "infer/convert/convert.h"
#include "models/layers/device.h"
#include "models/layers/device_pool.h"
#include "tools/actions/console.h"
#include "tools/actions/file_jobs.h"
#include "tools/actions/model_source.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/memory.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"
#include "tools/config/config.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

// The row of a speaker given by name or number.
std::int64_t speaker_row(const Voice& voice, const std::string& speaker) {
  if (speaker.empty()) return 0;
  const auto& names = voice.speakers();
  const auto named = std::find(names.begin(), names.end(), speaker);
  if (named != names.end()) return named - names.begin();
  std::int64_t row = -1;
  const auto [end, code] = std::from_chars(speaker.data(), speaker.data() + speaker.size(), row);
  const bool is_number = code == std::errc{} && end == speaker.data() + speaker.size();
  if (is_number && row >= 0 && row < voice.n_speakers()) return row;
  if (is_number || names.empty()) {
    fail(ErrorKind::usage, "there is no speaker '{}'; the voice's speakers are numbered 0 to {}{}", speaker,
         voice.n_speakers() - 1, names.empty() ? "" : fmt::format(": {}", fmt::join(names, ", ")));
  }
  throw Error(ErrorKind::usage, unknown_name_message("speaker", speaker, names));
}

// One part of "a:0.7,b:0.3"; without a weight it is 1.
SpeakerShare share_of(const Voice& voice, const std::string& part) {
  const auto colon = part.rfind(':');
  if (colon == std::string::npos) return {speaker_row(voice, part), 1};
  const char* begin = part.data() + colon + 1;
  double weight = 0;
  const auto [end, code] = std::from_chars(begin, part.data() + part.size(), weight);
  if (code != std::errc{} || end != part.data() + part.size() || !(weight > 0) || !std::isfinite(weight)) {
    fail(ErrorKind::usage, "'{}' gives no weight above 0; write name:weight, such as mara:0.7", part);
  }
  return {speaker_row(voice, part.substr(0, colon)), weight};
}

// A speaker, or several with weights, which are made to add up to 1. A name may itself hold a colon or a comma.
SpeakerMix speaker_mix(const Voice& voice, const std::string& text) {
  const auto& names = voice.speakers();
  const bool is_name = std::find(names.begin(), names.end(), text) != names.end();
  if (is_name || text.find_first_of(":,") == std::string::npos) return {{speaker_row(voice, text), 1}};
  SpeakerMix mix;
  double total = 0;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    mix.push_back(share_of(voice, text.substr(begin, end - begin)));
    total += mix.back().weight;
    begin = end + 1;
  }
  for (auto& share : mix) share.weight /= total;
  return mix;
}

nlohmann::ordered_json row_of(const FileJob& job, const Conversion& done) {
  return {
      {"input", job.input.string()},
      {"output", job.output.string()},
      {"fate", "converted"},
      {"seconds", done.seconds},
      {"elapsed_seconds", done.elapsed_seconds},
      {"real_time_factor", done.elapsed_seconds / done.seconds},
      {"voiced_share", done.voiced_share},
      {"median_f0_hz", done.median_f0_hz},
      {"semitones", done.semitones},
      {"pieces", done.pieces},
      {"input_lufs", done.loudness && done.loudness->is_measurable ? nlohmann::ordered_json(done.loudness->input_lufs)
                                                                   : nlohmann::ordered_json()},
      {"loudness_gain_db", done.loudness ? nlohmann::ordered_json(done.loudness->gain_db) : nlohmann::ordered_json()},
      {"peak", done.peak},
      {"remark", done.remark}};
}

void print_row(const nlohmann::ordered_json& row) {
  const std::string remark = row["remark"];
  std::string more;
  if (const std::int64_t pieces = row["pieces"]; pieces != 1) more += fmt::format(", {} pieces", pieces);
  if (!row["input_lufs"].is_null()) {
    more += fmt::format(", {:+.1f} dB to the recording's {:.1f} LUFS", row["loudness_gain_db"].get<double>(),
                        row["input_lufs"].get<double>());
  }
  fmt::print("{}: {:.2f} s of audio in {:.2f} s ({:.1f}x real time), voiced {:.0f} %{}, peak {:.2f}{}\n",
             row["output"].get<std::string>(), row["seconds"].get<double>(), row["elapsed_seconds"].get<double>(),
             1 / row["real_time_factor"].get<double>(), 100 * row["voiced_share"].get<double>(), more,
             row["peak"].get<double>(), remark.empty() ? "" : "; " + remark);
}

// Everything but the curve, which is a recording's own.
ConvertOptions options_for(const Voice& voice, const ConvertActionOptions& options, const AudioFormat& format) {
  ConvertOptions how{.pitch = options.pitch,
                     .speakers = speaker_mix(voice, options.speaker),
                     .sample_rate_hz = options.sample_rate_hz > 0 ? options.sample_rate_hz : voice.sample_rate_hz(),
                     .format = std::string(format.name),
                     .high_pass_hz = options.high_pass_hz,
                     .clean = options.clean,
                     .split_at_silence = options.split_at_silence,
                     .retrieval = {.rate = options.index_rate, .protect = options.protect},
                     .content_weights = options.content_weights,
                     .synthesis = {.noise_seed = options.noise_seed,
                                   .noise_scale = options.noise_scale,
                                   .chunk_frames = options.chunk_seconds * 100},
                     .output = {.formant_ratio = options.formant_ratio,
                                .volume_envelope = options.volume_envelope,
                                .mix = options.mix,
                                .match_loudness = options.match_loudness}};
  if (!options.effects.empty()) {
    how.output.effects = std::make_shared<const EffectChain>(EffectChain::read(options.effects));
    (void)how.output.effects->make(how.sample_rate_hz, 1);  // what does not suit the rate shows before anything is made
  }
  require_encodable(format, how.sample_rate_hz, 1);
  if (!options.pitch_settings.empty()) {
    if (!options.curves.empty()) fail(ErrorKind::usage, "--f0-file is the pitch; leave --f0-method and --f0-set out");
    how.hearing = voice.pitch();
    auto schema = schema_of(*how.hearing);
    configure(schema, std::nullopt, options.pitch_settings);
  }
  if (!options.index.empty()) {
    auto index = std::make_shared<const FeatureIndex>(FeatureIndex::load(options.index));
    if (const auto width = voice.content_columns(); index->width() != width) {
      fail(ErrorKind::data,
           "the index '{}' holds features of {} columns, the voice takes {}; use the voice's own index",
           options.index.string(), index->width(), width);
    }
    how.retrieval.index = std::move(index);
  }
  return how;
}

// The curves of recordings: one file for one, for a folder a folder of curves with the recordings' names.
class Curves {
 public:
  Curves(const ConvertActionOptions& options, bool is_folder) : curves_(options.curves), recordings_(options.input) {
    if (curves_.empty()) return;
    if (!fs::exists(curves_)) {
      fail(ErrorKind::data, "there is no pitch curve '{}'; melisma pitch makes one", curves_.string());
    }
    if (fs::is_directory(curves_) != is_folder) {
      fail(ErrorKind::usage,
           "--f0-file '{}' is a {}, but '{}' is a {}; give a curve for a recording, a folder of curves "
           "for a folder of recordings",
           curves_.string(), is_folder ? "file" : "folder", recordings_.string(), is_folder ? "folder" : "file");
    }
  }

  [[nodiscard]] std::optional<PitchCurve> of(const fs::path& recording) const {
    if (curves_.empty()) return std::nullopt;
    if (!fs::is_directory(curves_)) return read_pitch_curve(curves_);
    const auto place = curves_ / fs::relative(recording, recordings_);
    const auto whole_name = fs::path(place) += ".csv";  // of recordings that differ only in their ending
    return read_pitch_curve(fs::exists(whole_name) ? whole_name : fs::path(place).replace_extension(".csv"));
  }

 private:
  fs::path curves_, recordings_;
};

// One a device; what is not the plain case is said before it begins.
std::vector<Voice> voices_on(const std::vector<at::Device>& devices, const ModelFile& file, const std::string& model) {
  std::vector<Voice> voices;
  for (const auto device : devices) {
    voices.push_back(with_context(fmt::format("loading '{}'", model), [&] { return Voice::load(file, device); }));
    if (devices.size() > 1 || !device.is_cpu()) say(*console_events(), "device  " + device_text(device));
  }
  return voices;
}

}  // namespace

int convert(const ConvertActionOptions& options) {
  install_stop_handlers();
  return_large_blocks_at_once();
  options.pitch.check();
  const bool is_folder = is_folder_of_recordings(options.input);
  const auto extension = is_folder ? format_of_results(options.format, options.output, is_folder).extension : ".wav";
  const auto work = file_jobs(options.input, options.output, std::string(extension));
  const auto& format = format_of_results(options.format, options.output, is_folder);
  const Curves curves(options, is_folder);
  const auto file = load_model(options.workspace, options.model);
  DevicePool devices(open_devices(options.device));
  const auto voices = voices_on(devices.devices(), file, options.model);
  const auto how = options_for(voices.front(), options, format);
  const auto n_devices = static_cast<int>(voices.size());
  const int threads_each = n_devices > 1 ? std::max(1, at::get_num_threads() / n_devices) : 0;
  const auto make = [&](const FileJob& job, const std::function<void(double)>& progress) {
    const auto place = devices.take();
    const DeviceScope scope(place.device());
    const ThreadLimit limit(threads_each);
    auto own = how;
    own.curve = curves.of(job.input);
    auto row = row_of(job, convert_file(voices[place.index()], job.input, job.output, own, progress));
    row["device"] = place.device().str();
    return row;
  };
  return run_file_jobs(
      work, {.task = "converting", .done = "converted", .make = make, .print = print_row, .threads = n_devices},
      options.json);
}

}  // namespace melisma
