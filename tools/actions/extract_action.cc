#include "tools/actions/extract_action.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <malloc.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/sets/dataset.h"
#include "models/rvc/tensor_shapes.h"
#include "models/rvc/voice_export.h"
#include "models/rvc/voice_file.h"
#include "models/weights/pth_file.h"
#include "models/weights/weight_norm.h"
#include "tools/actions/dataset_source.h"
#include "tools/actions/extract_checkpoint.h"
#include "tools/actions/extract_quality.h"
#include "tools/actions/model_source.h"
#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/table.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ExtractJson = nlohmann::ordered_json;

void check_extract_options(const ExtractOptions& options) {
  (void)find_row(kExtractTypes, options.dtype, "dtype", ErrorKind::usage);
  (void)find_row(kExtractFormats, options.format, "format", ErrorKind::usage);
  if (checkpoint_format_named(options.format) && (options.dtype != "fp32" || options.fold)) {
    fail(ErrorKind::usage, "a training checkpoint is kept as it was trained; leave out {}, or use --format safetensors",
         options.fold ? "--fold" : "--dtype");
  }
  if (options.format != "pth") return;
  if (options.dtype == "int8") {
    fail(ErrorKind::usage, "Applio and RVC-WebUI read no int8 weights; use --dtype fp16, or --format safetensors");
  }
  if (options.fold) {
    fail(ErrorKind::usage,
         "Applio and RVC-WebUI expect weight norm unfolded; leave --fold out, or use --format "
         "safetensors");
  }
}

ModelSource extract_source(const ExtractOptions& options) {
  auto source = find_model(options.workspace, options.source, options.epoch.empty() ? "best" : options.epoch);
  if (!source.run && !options.epoch.empty()) {
    fail(ErrorKind::usage, "'{}' is one file; --epoch chooses among the checkpoints of a run", options.source);
  }
  return source;
}

// The voice to extract: float weights, and where it comes from.
ModelFile extract_voice(const ModelSource& source, const ExtractOptions& options) {
  return with_context(fmt::format("extracting '{}'", options.source), [&] {
    auto stored = read_model(source.file);
    const auto rate = options.sample_rate_hz > 0 ? options.sample_rate_hz : rate_beside(source.file, stored);
    auto voice = dequantized(as_rvc_voice(std::move(stored), rate));
    if (source.checkpoint) {
      voice.epoch = source.checkpoint->epoch;
      voice.step = source.checkpoint->step;
    }
    ExtractJson provenance{{"extracted_from", source.label}, {"layout", voice.layout}};
    if (source.run) provenance["run"] = source.run->id();
    if (!voice.provenance.empty()) provenance["model"] = ExtractJson::parse(voice.provenance, nullptr, false);
    voice.provenance = json_line(provenance);
    voice.layout = "melisma";
    return voice;
  });
}

// <workspace>/models/<name>[-e0012][-fp16].<ending>
fs::path extract_path(const ExtractOptions& options, const ModelSource& source, const ModelFile& voice) {
  if (!options.output.empty()) return options.output;
  auto name = source.run ? source.run->name() : source.file.stem().string();
  if (source.run && voice.epoch >= 0) name += fmt::format("-e{:04}", voice.epoch);
  if (options.dtype != "fp32") name += "-" + options.dtype;
  const auto folder = options.workspace / "models";
  std::error_code ignored;  // the write below says what is wrong
  fs::create_directories(folder, ignored);
  return folder / (name + "." + options.format);
}

// The dataset to listen to: the one named, else the one the run was trained on if it is still there.
std::optional<Dataset> report_dataset(const ExtractOptions& options, const ModelSource& source) {
  if (!options.dataset.empty()) return Dataset::open(dataset_path(options.workspace, options.dataset));
  if (!source.run) return std::nullopt;
  const auto manifest = source.run->manifest();
  const auto path = manifest.value(ExtractJson::json_pointer("/dataset/path"), std::string());
  if (path.empty() || !fs::is_regular_file(path)) return std::nullopt;
  return Dataset::open(path);
}

ExtractJson quality_of(const ModelFile& voice, const VoiceExport& exported, const ExtractOptions& options,
                       const ModelSource& source) {
  auto report = layer_report(exported, options.dtype);
  report["source"] = source.label;
  if (source.run) report["run"] = source.run->id();  // whose report it belongs in
  if (const auto dataset = report_dataset(options, source)) {
    report["held_out"] =
        held_out_report(voice, exported_model(voice, exported, options.dtype), *dataset, options.report_clips);
  } else {
    report["held_out"] = nullptr;
    report["held_out_reason"] = "no dataset: name one with --dataset to measure the audio";
  }
  return report;
}

void write_extract(const fs::path& path, const ExtractOptions& options, ModelFile voice, VoiceExport exported,
                   const ExtractJson& quality) {
  if (options.format == "pth") {
    write_pth(path, rvc_tool_voice(voice, std::move(exported.tensors), path.stem().string(), utc_now()));
    return;
  }
  voice.quantization = options.dtype == "int8" ? "int8" : "none";
  FileMetadata metadata{{"dtype", options.dtype}, {"extracted_utc", utc_now()}};
  if (!quality.is_null()) metadata["quality"] = quality.dump();
  write_safetensors_model(path, voice, std::move(exported.tensors), metadata);
}

void print_extract(const ExtractJson& result) {
  fmt::print("{}: {:.1f} MB, {}, from {}\n", result["path"].get<std::string>(), result["bytes"].get<double>() / 1e6,
             result["dtype"].get<std::string>(), result["source"].get<std::string>());
  if (!result.contains("quality")) return;
  const auto& quality = result["quality"];
  if (quality.contains("worst_layer")) {
    fmt::print("  worst layer: {} at {} dB\n", quality["worst_layer"]["name"].get<std::string>(),
               quality["worst_layer"]["snr_db"].dump());
  }
  if (const auto& heard = quality["held_out"]; heard.is_object()) {
    fmt::print(
        "  {} held-out clips: {} dB from fp32, mel distance {:.4f} to fp32; {:.4f} to the recordings (fp32 "
        "{:.4f}); {:.1f}x real time (fp32 {:.1f}x)\n",
        heard["clips"].dump(), heard["waveform_snr_db"].dump(), heard["mel_distance_to_fp32"].get<double>(),
        heard["mel_distance_to_recording"].get<double>(), heard["mel_distance_to_recording_fp32"].get<double>(),
        heard["realtime_factor"].get<double>(), heard["realtime_factor_fp32"].get<double>());
  } else {
    fmt::print("  {}\n", quality["held_out_reason"].get<std::string>());
  }
  fmt::print("  report: {}\n", result["report"].get<std::string>());
}

// Whether freed tensors go back to the system at once, which keeps the peak near the largest one, or are kept for the
// next, which is faster.
void return_freed_memory(bool at_once) {
  constexpr int kSmall = 256 << 10, kLargestAllowed = 32 << 20;
  ::mallopt(M_MMAP_THRESHOLD, at_once ? kSmall : kLargestAllowed);
}

}  // namespace

int extract(const ExtractOptions& options) {
  const c10::NoGradGuard no_grad;
  check_extract_options(options);
  if (const auto format = checkpoint_format_named(options.format)) return extract_checkpoint(options, *format);
  return_freed_memory(true);
  const auto source = extract_source(options);
  auto voice = extract_voice(source, options);
  if (options.format == "pth") {
    const auto network = rvc_voice_config(voice).network;
    (void)rvc_tool_version(network);
    voice.weights = unfold_weight_norm(voice.weights, rvc_tensor_shapes(network, {.posterior = false}));
  }
  const auto path = extract_path(options, source, voice);
  auto exported = export_voice(voice, {.type = options.dtype, .fold = options.fold});
  ExtractJson quality;
  return_freed_memory(false);
  if (options.dtype != "fp32") quality = quality_of(voice, exported, options, source);
  return_freed_memory(true);
  write_extract(path, options, voice, std::move(exported), quality);
  ExtractJson result{{"path", path.string()},
                     {"bytes", fs::file_size(path)},
                     {"dtype", options.dtype},
                     {"format", options.format},
                     {"source", source.label},
                     {"epoch", voice.epoch},
                     {"sample_rate_hz", voice.sample_rate_hz}};
  if (!quality.is_null()) {
    auto report = path;
    report += ".quality.json";
    quality["file_bytes"] = fs::file_size(path);
    write_file_atomically(report, json_text(quality) + "\n");
    result["report"] = report.string();
    result["quality"] = quality;
  }
  if (options.json) {
    fmt::print("{}\n", json_line(result));
  } else {
    print_extract(result);
  }
  return 0;
}

}  // namespace melisma
