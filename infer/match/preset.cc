#include "infer/match/preset.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "models/weights/mapped_file.h"
#include "models/weights/pickle_reader.h"
#include "models/weights/safetensors.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace match_preset_detail {
namespace {
using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "melisma-match-preset";
constexpr int kVersion = 1;

at::Tensor tensor_of(const std::vector<double>& values) {
  auto tensor = at::empty({std::ssize(values)}, at::kDouble);
  std::copy(values.begin(), values.end(), tensor.data_ptr<double>());
  return tensor;
}

Json facts_of(const MatchPreset& preset) {
  const auto& profile = preset.profile;
  const auto& loudness = profile.loudness;
  const auto finite = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
  return {{"version", kVersion},
          {"name", preset.name},
          {"sample_rate_hz", profile.sample_rate_hz},
          {"fft_size", profile.fft_size},
          {"n_frames", profile.n_frames},
          {"final_amplitude", profile.final_amplitude},
          {"divisions", profile.sizes.divisions},
          {"piece_frames", profile.sizes.piece},
          {"average_rms", profile.levels.average},
          {"match_rms", profile.levels.match_rms},
          {"spectrum_frames", profile.spectra.n_frames},
          {"lufs", finite(loudness.integrated_lufs)},
          {"range_lu", loudness.range_lu},
          {"true_peak_db", finite(loudness.true_peak_db)},
          {"max_piece_s", preset.analysis.max_piece_s},
          {"threshold", preset.analysis.threshold}};
}

[[noreturn]] void refuse(const std::string& reason) {
  fail(ErrorKind::checkpoint, "{}; make the preset again with melisma match analyze", reason);
}

std::vector<double> numbers_at(const StateDict& tensors, const char* name, std::int64_t count) {
  const auto& tensor = tensors.at(name);
  if (tensor.scalar_type() != at::kDouble || tensor.dim() != 1 || tensor.size(0) != count) {
    refuse(fmt::format("its '{}' is not {} doubles", name, count));
  }
  const auto* from = tensor.const_data_ptr<double>();
  std::vector<double> values(from, from + count);
  for (const double value : values) {
    if (!std::isfinite(value)) refuse(fmt::format("its '{}' holds what is no number", name));
  }
  return values;
}

void require_sizes(const MatchProfile& profile) {
  const bool fits = profile.sample_rate_hz >= 1 && profile.fft_size >= 4 && profile.fft_size <= (1 << 24) &&
                    profile.fft_size % 2 == 0 && profile.sizes.divisions >= 1 && profile.sizes.divisions <= 1000000 &&
                    profile.sizes.piece >= profile.fft_size && profile.final_amplitude > 0 &&
                    profile.final_amplitude <= 1 && profile.levels.match_rms > 0;
  if (!fits) refuse("its sizes make no sense");
}

double number_or_silence(const Json& value) {
  return value.is_null() ? -std::numeric_limits<double>::infinity() : value.get<double>();
}

MatchPreset preset_of(const SafetensorsFile& file) {
  const auto format = file.metadata.find("format");
  if (format == file.metadata.end() || format->second != kFormat) refuse("it is no match preset");
  const auto digest = file.metadata.find(kTensorDigestKey);
  if (digest == file.metadata.end() || digest->second != file.tensor_bytes_sha256()) {
    refuse("its numbers are not those it was written with: it is damaged");
  }
  const auto facts = Json::parse(file.metadata.at("facts"));
  if (facts.at("version") != kVersion) {
    refuse(fmt::format("it is of version {}, this program knows {}", facts.at("version").dump(), kVersion));
  }
  MatchPreset preset{.name = facts.at("name")};
  auto& profile = preset.profile;
  profile.sample_rate_hz = facts.at("sample_rate_hz");
  profile.fft_size = facts.at("fft_size");
  profile.n_frames = facts.at("n_frames");
  profile.final_amplitude = facts.at("final_amplitude");
  profile.sizes = {facts.at("divisions"), facts.at("piece_frames")};
  profile.levels.average = facts.at("average_rms");
  profile.levels.match_rms = facts.at("match_rms");
  require_sizes(profile);
  profile.loudness = {number_or_silence(facts.at("lufs")), facts.at("range_lu"),
                      number_or_silence(facts.at("true_peak_db"))};
  preset.analysis.sample_rate_hz = profile.sample_rate_hz;
  preset.analysis.fft_size = profile.fft_size;
  preset.analysis.max_piece_s = facts.at("max_piece_s");
  preset.analysis.threshold = facts.at("threshold");
  const auto n_bins = profile.fft_size / 2 + 1;
  profile.spectra = {numbers_at(file.tensors, "spectra.mid", n_bins), numbers_at(file.tensors, "spectra.side", n_bins),
                     facts.at("spectrum_frames")};
  profile.levels.rmses = numbers_at(file.tensors, "levels.rms", profile.sizes.divisions);
  profile.level_quantiles = numbers_at(file.tensors, "loudness.quantiles", kLevelQuantiles);
  for (const double piece : numbers_at(file.tensors, "levels.loudest", file.tensors.at("levels.loudest").numel())) {
    if (!(piece >= 0 && piece < static_cast<double>(profile.sizes.divisions)))
      refuse("it names a piece it does not have");
    profile.levels.loudest.push_back(static_cast<std::int64_t>(piece));
  }
  if (profile.levels.loudest.empty()) refuse("it has no loud piece");
  return preset;
}

// A value of the pickled dict.
const PickleValue& entry(const PickleValue& dict, const char* name) {
  const auto* value = dict.find(name);
  if (value == nullptr) fail(ErrorKind::checkpoint, "it has no '{}': no preset of matchering_webapp", name);
  return *value;
}

double number_of(const PickleValue& dict, const char* name) {
  const auto& value = entry(dict, name);
  const auto number = value.number();
  const auto* tensor = value.tensor();
  const double found = number ? *number : tensor != nullptr && tensor->numel() == 1 ? tensor->item<double>() : NAN;
  if (!(found > 0) || !std::isfinite(found)) fail(ErrorKind::checkpoint, "its '{}' is no number above 0", name);
  return found;
}

// [pieces, frames] doubles.
at::Tensor pieces_of(const PickleValue& dict, const char* name) {
  const auto* tensor = entry(dict, name).tensor();
  if (tensor == nullptr || tensor->dim() != 2 || tensor->numel() == 0) {
    fail(ErrorKind::checkpoint, "its '{}' is {}, expected an array [pieces, frames]", name,
         tensor == nullptr ? std::string(entry(dict, name).kind_name())
                           : fmt::format("an array of {} axes", tensor->dim()));
  }
  if (!tensor->isfinite().all().item<bool>()) fail(ErrorKind::checkpoint, "its '{}' holds what is no number", name);
  return tensor->contiguous();
}

MatchPreset preset_of(const PickleValue& dict, const MatchConfig& config) {
  const auto mid = pieces_of(dict, "reference_mid_loudest_pieces"),
             side = pieces_of(dict, "reference_side_loudest_pieces");
  const double amplitude = number_of(dict, "final_amplitude_coefficient");
  const double match_rms = number_of(dict, "reference_match_rms");
  if (mid.sizes() != side.sizes()) fail(ErrorKind::checkpoint, "its mid and side pieces are not equally many and long");
  if (amplitude > 1)
    fail(ErrorKind::checkpoint, "its final_amplitude_coefficient is {}, expected 1 at most", amplitude);
  StereoSignal signal{.sample_rate_hz = config.sample_rate_hz};
  const auto *m = mid.const_data_ptr<double>(), *s = side.const_data_ptr<double>();
  for (std::int64_t i = 0; i < mid.numel(); ++i) {
    signal.left.push_back(m[i] + s[i]);
    signal.right.push_back(m[i] - s[i]);
  }
  MatchPreset preset{.analysis = config};
  auto& profile = preset.profile;
  profile = {.sample_rate_hz = config.sample_rate_hz, .fft_size = config.fft_size, .n_frames = signal.n_frames()};
  profile.final_amplitude = amplitude;
  profile.sizes = {mid.size(0), mid.size(1)};
  for (std::int64_t piece = 0; piece < mid.size(0); ++piece) {
    profile.levels.rmses.push_back(mid[piece].square().mean().sqrt().item<double>());
    profile.levels.loudest.push_back(piece);
  }
  const auto measured = mid.square().mean().sqrt().item<double>();
  if (std::abs(measured - match_rms) > 1e-4 * match_rms) {
    fail(ErrorKind::checkpoint, "its reference_match_rms is {}, but its pieces have {}: it is damaged", match_rms,
         measured);
  }
  profile.levels.average = profile.levels.match_rms = match_rms;
  profile.spectra = loud_spectra(signal, profile.sizes, profile.levels.loudest, config.fft_size);
  for (auto* channel : {&signal.left, &signal.right}) {
    for (auto& sample : *channel) sample *= amplitude;
  }
  profile.loudness = loudness_of(signal);
  profile.level_quantiles = level_quantiles(levels_over_time(signal), profile.loudness.integrated_lufs);
  return preset;
}

}  // namespace
}  // namespace match_preset_detail

void write_preset(const std::filesystem::path& path, const MatchPreset& preset) {
  using namespace match_preset_detail;
  const auto& profile = preset.profile;
  std::vector<TensorToWrite> tensors;
  const auto add = [&](const char* name, const std::vector<double>& values) {
    tensors.push_back({.name = name, .shape = {std::ssize(values)}, .type = at::kDouble, .make = [values] {
                         return tensor_of(values);
                       }});
  };
  add("spectra.mid", profile.spectra.mid);
  add("spectra.side", profile.spectra.side);
  add("levels.rms", profile.levels.rmses);
  add("levels.loudest", {profile.levels.loudest.begin(), profile.levels.loudest.end()});
  add("loudness.quantiles", profile.level_quantiles);
  write_safetensors(path, std::move(tensors), {{"format", kFormat}, {"facts", json_line(facts_of(preset))}}, true);
}

MatchPreset read_preset(const std::filesystem::path& path) {
  const auto file = read_safetensors(path);
  return with_context("reading '" + path.string() + "'", [&] {
    try {
      return match_preset_detail::preset_of(file);
    } catch (const nlohmann::json::exception& problem) {
      match_preset_detail::refuse(fmt::format("its header cannot be read ({})", problem.what()));
    } catch (const std::out_of_range&) {
      match_preset_detail::refuse("its header has no facts");
    }
  });
}

MatchPreset import_pickled_preset(const std::filesystem::path& path, const MatchConfig& config) {
  require_fitting(config);
  const MappedFile file(path);
  return with_context("reading '" + path.string() + "'", [&] {
    const auto read = read_pickle(file.bytes(), [](const StorageRequest&) { return std::nullopt; });
    if (read.value.dict() == nullptr) {
      fail(ErrorKind::checkpoint, "it holds {}, expected a dict: no preset of matchering_webapp",
           read.value.kind_name());
    }
    auto preset = match_preset_detail::preset_of(read.value, config);
    preset.name = path.stem().string();
    return preset;
  });
}

void require_same_analysis(const MatchPreset& preset, const MatchConfig& config) {
  const auto require = [&](const char* what, double found, double expected) {
    if (found == expected) return;
    fail(ErrorKind::config,
         "the preset '{}' was made with {} {}, expected {}; analyze its recording with --exact and these settings, or "
         "match in mode improved",
         preset.name, what, found, expected);
  };
  require("sample_rate_hz", static_cast<double>(preset.profile.sample_rate_hz),
          static_cast<double>(config.sample_rate_hz));
  require("fft_size", static_cast<double>(preset.profile.fft_size), static_cast<double>(config.fft_size));
  require("max_piece_s", preset.analysis.max_piece_s, config.max_piece_s);
  require("threshold", preset.analysis.threshold, config.threshold);
}

}  // namespace melisma
