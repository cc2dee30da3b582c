#include "tools/actions/match_preset_action.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "infer/match/preset.h"
#include "tools/actions/match_sources.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"

namespace melisma {
namespace match_preset_action_detail {
namespace {
using Json = nlohmann::ordered_json;

Json json_of(const MatchPreset& preset) {
  const auto& profile = preset.profile;
  const auto finite = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
  auto bands = Json::array();
  for (const auto& [centre, share] : band_shares(profile)) bands.push_back({{"hz", centre}, {"db", finite(share)}});
  return {{"name", preset.name},
          {"sample_rate_hz", profile.sample_rate_hz},
          {"fft_size", profile.fft_size},
          {"pieces", profile.sizes.divisions},
          {"piece_frames", profile.sizes.piece},
          {"rms", profile.levels.rmses},
          {"loudest", profile.levels.loudest},
          {"match_rms", profile.levels.match_rms},
          {"final_amplitude", profile.final_amplitude},
          {"lufs", finite(profile.loudness.integrated_lufs)},
          {"range_lu", profile.loudness.range_lu},
          {"true_peak_db", finite(profile.loudness.true_peak_db)},
          {"third_octaves", bands}};
}

MatchPreset analyzed_preset(const std::filesystem::path& path, const MatchSettings& settings) {
  auto reference = analysed_with_loudness({path, 1}, settings);
  auto analysis = settings.matching;
  analysis.sample_rate_hz = reference.profile.sample_rate_hz;
  analysis.fft_size = reference.profile.fft_size;
  return {path.stem().string(), std::move(reference.profile), analysis};
}

void require_output(const MatchPresetOptions& options) {
  if (options.inputs.size() != 1)
    fail(ErrorKind::usage, "a preset is made of one file, found {}", options.inputs.size());
  if (options.output.extension() != ".safetensors") {
    fail(ErrorKind::usage, "'{}' is no name of a preset; end it in .safetensors", options.output.string());
  }
  require_writable(options.output);
  require_fitting(options.settings.matching);
}

int show(const MatchPresetOptions& options) {
  std::vector<MatchPreset> presets;
  for (const auto& path : options.inputs) presets.push_back(read_preset(path));
  if (!options.json) {
    fmt::print("{}", preset_table(presets));
    return 0;
  }
  auto array = Json::array();
  for (const auto& preset : presets) array.push_back(json_of(preset));
  fmt::print("{}\n", json_text(array));
  return 0;
}

}  // namespace
}  // namespace match_preset_action_detail

int match_preset(const MatchPresetOptions& options) {
  using namespace match_preset_action_detail;
  install_stop_handlers();
  if (options.work == MatchPresetOptions::Work::show) return show(options);
  require_output(options);
  const auto& input = options.inputs.front();
  const auto preset = options.work == MatchPresetOptions::Work::analyze
                          ? analyzed_preset(input, options.settings)
                          : import_pickled_preset(input, options.settings.matching);
  write_preset(options.output, preset);
  if (options.json) {
    fmt::print("{}\n", json_text(json_of(preset)));
  } else {
    const auto& profile = preset.profile;
    fmt::print("{}: {} of {} pieces are loud, {:.1f} LUFS, {} Hz\n", options.output.string(),
               profile.levels.loudest.size(), profile.sizes.divisions, profile.loudness.integrated_lufs,
               profile.sample_rate_hz);
  }
  return 0;
}

}  // namespace melisma
