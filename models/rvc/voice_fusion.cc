#include "models/rvc/voice_fusion.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/rvc/tensor_shapes.h"
#include "models/weights/weight_norm.h"
#include "tools/base/error.h"
#include "tools/base/table.h"
#include "tools/config/config.h"

namespace melisma {
namespace voice_fusion_detail {
namespace {

using Json = nlohmann::ordered_json;

// Settings without which a voice sounds the same.
constexpr std::array<std::string_view, 7> kTrainingSettings{"n_fft",    "window",         "n_mels",          "mel_fmin",
                                                            "mel_fmax", "segment_frames", "posterior_layers"};

constexpr VoicePart kPosterior{"posterior", "enc_q.", "posterior encoder: only trains"};

// Posterior encoders that can be merged: every voice has one, all for the same spectra and of the same depth.
void check_posteriors(std::span<const NamedVoice> voices) {
  const auto first = rvc_voice_config(voices.front().file).network;
  for (const auto& [name, file] : voices) {
    if (!file.weights.contains("enc_q.pre.weight")) {
      fail(ErrorKind::checkpoint,
           "'{}' is an extracted voice without the posterior encoder (enc_q), so nothing to train from can be made of "
           "it; take runs, checkpoints or G files",
           name);
    }
    const auto other = rvc_voice_config(file).network;
    if (other.n_fft != first.n_fft || other.posterior_layers != first.posterior_layers) {
      fail(ErrorKind::checkpoint,
           "the posterior encoders of '{}' and '{}' differ: spectra of {} and {} samples, {} and {} layers",
           voices.front().name, name, first.n_fft, other.n_fft, first.posterior_layers, other.posterior_layers);
    }
  }
}

bool has_weight_norm(const ModelFile& voice) {
  return std::any_of(voice.weights.begin(), voice.weights.end(),
                     [](const auto& item) { return item.first.ends_with(".weight_v"); });
}

// "768 (v2)": what people call a setting's value, where they do.
std::string value_text(const std::string& setting, const Json& value) {
  if (setting == "content_channels" && value == 256) return "256 (v1)";
  if (setting == "content_channels" && value == 768) return "768 (v2)";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void check_alike(std::span<const NamedVoice> voices, bool is_effective) {
  for (const auto& other : voices.subspan(1)) {
    auto differences = voice_differences(voices.front(), other);
    if (differences.empty() && !is_effective && has_weight_norm(voices.front().file) != has_weight_norm(other.file)) {
      const bool first = has_weight_norm(voices.front().file);
      differences.push_back(
          fmt::format("weight norm is {} in '{}' but {} in '{}', so that stored weights do not "
                      "correspond; merge them as they sound: --on effective",
                      first ? "stored" : "folded", voices.front().name, first ? "folded" : "stored", other.name));
    }
    if (!differences.empty()) {
      fail(ErrorKind::checkpoint, "'{}' and '{}' cannot become one voice: {}", voices.front().name, other.name,
           fmt::join(differences, "; "));
    }
  }
}

// Names of row i of the speaker table in all voices, each once.
std::vector<std::string> joined_speakers(std::span<const NamedVoice> voices) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& voice : voices) {
    const auto names = rvc_voice_config(voice.file).speaker_names;
    if (rows.size() < names.size()) rows.resize(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (std::ranges::find(rows[i], names[i]) == rows[i].end()) rows[i].push_back(names[i]);
    }
  }
  std::vector<std::string> joined;
  for (const auto& names : rows) joined.push_back(fmt::format("{}", fmt::join(names, " + ")));
  return joined;
}

// The configuration of the first voice, completed by what others know.
std::string joined_config(std::span<const NamedVoice> voices) {
  auto config = rvc_voice_config(voices.front().file);
  config.speaker_names = joined_speakers(voices);
  for (const auto& voice : voices) {
    const auto other = rvc_voice_config(voice.file);
    if (config.content_parameters.empty()) config.content_parameters = other.content_parameters;
    if (config.pitch_parameters.empty()) config.pitch_parameters = other.pitch_parameters;
  }
  return to_canonical_json(config);
}

// The voice that has all the weight, if one has.
std::optional<std::size_t> sole_parent(const MergeMethod& method, const std::vector<double>& weights) {
  if (method.models_without_weight > 0) {  // the first one is the origin of what is added
    const bool adds_nothing = std::ranges::all_of(weights, [](double w) { return w == 0; });
    return adds_nothing ? std::optional<std::size_t>(0) : std::nullopt;
  }
  const auto one = std::ranges::find(weights, 1.0);
  const auto n_zero = std::ranges::count(weights, 0.0);
  if (one == weights.end() || n_zero + 1 != std::ssize(weights)) return std::nullopt;
  return static_cast<std::size_t>(one - weights.begin());
}

// Merges the tensors of one part into `fused`.
class PartMerge {
 public:
  PartMerge(std::span<const NamedVoice> voices, const FusionRecipe& recipe, const VoicePart& part)
      : voices_(voices), recipe_(recipe), part_(part), method_(find_row(kMergeMethods, recipe.method, "method")) {
    const auto own = recipe.part_weights.find(std::string(part.name));
    weights_ = merge_weights(method_, own == recipe.part_weights.end() ? recipe.weights : own->second, voices.size(),
                             recipe.is_normalised);
  }

  [[nodiscard]] const std::vector<double>& weights() const { return weights_; }

  void run(StateDict& fused, std::vector<std::string>& fallbacks) const {
    if (const auto parent = sole_parent(method_, weights_)) return copy(voices_[*parent].file.weights, fused);
    const auto& first = voices_.front().file.weights;
    const MergeRecipe how{
        .weights = weights_, .density = recipe_.density, .sum_type = recipe_.is_effective ? at::kDouble : at::kFloat};
    for (const auto& name : recipe_.is_effective ? folded_names(first) : names_of(first)) {
      if (!name.starts_with(part_.prefix)) continue;
      std::vector<at::Tensor> tensors;
      for (const auto& voice : voices_) tensors.push_back(folded_weight(voice.file.weights, name));
      auto merged = method_.merge(tensors, how);
      if (merged.is_fallback) fallbacks.push_back(name);
      fused.add(name, merged.tensor.to(at::kFloat));
    }
  }

 private:
  static std::vector<std::string> names_of(const StateDict& weights) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : weights) names.push_back(name);
    return names;
  }
  void copy(const StateDict& parent, StateDict& fused) const {
    for (const auto& [name, tensor] : parent) {
      if (name.starts_with(part_.prefix)) fused.add(name, tensor.to(at::kFloat));
    }
  }

  std::span<const NamedVoice> voices_;
  const FusionRecipe& recipe_;
  const VoicePart& part_;
  const MergeMethod& method_;
  std::vector<double> weights_;
};

}  // namespace
}  // namespace voice_fusion_detail

const VoicePart& voice_part(std::string_view name) {
  for (const auto& part : kVoiceParts) {
    if (part.prefix.substr(0, part.prefix.size() - 1) == name) return part;
  }
  return find_row(kVoiceParts, name, "part", ErrorKind::usage);
}

const VoicePart* part_of_tensor(std::string_view tensor_name) {
  const auto part =
      std::ranges::find_if(kVoiceParts, [&](const VoicePart& row) { return tensor_name.starts_with(row.prefix); });
  return part == kVoiceParts.end() ? nullptr : &*part;
}

std::vector<std::string> voice_differences(const NamedVoice& a, const NamedVoice& b) {
  using namespace voice_fusion_detail;
  auto one = rvc_voice_config(a.file), other = rvc_voice_config(b.file);
  const auto mine = to_json(schema_of(one.network)), theirs = to_json(schema_of(other.network));
  std::vector<std::string> differences;
  const auto note = [&](const std::string& what, const std::string& in_a, const std::string& in_b) {
    differences.push_back(fmt::format("{} is {} in '{}' but {} in '{}'", what, in_a, a.name, in_b, b.name));
  };
  for (const auto& [setting, value] : mine.items()) {
    if (std::ranges::find(kTrainingSettings, setting) != kTrainingSettings.end() || value == theirs[setting]) continue;
    note(setting, value_text(setting, value), value_text(setting, theirs[setting]));
  }
  const bool both_say = !one.content_parameters.empty() && !other.content_parameters.empty();
  if (both_say && one.content_parameters != other.content_parameters) {
    note("content", one.content_parameters, other.content_parameters);
  }
  return differences;
}

FusedVoice fuse_voices(std::span<const NamedVoice> voices, const FusionRecipe& recipe) {
  using namespace voice_fusion_detail;
  if (voices.empty()) fail(ErrorKind::usage, "no voices were given");
  std::vector<PartMerge> merges;
  for (const auto& part : kVoiceParts) merges.emplace_back(voices, recipe, part);  // wrong weights end here
  check_alike(voices, recipe.is_effective);
  if (recipe.keep_posterior) check_posteriors(voices);
  FusedVoice fused;
  StateDict merged;
  for (std::size_t i = 0; i < kVoiceParts.size(); ++i) {
    merges[i].run(merged, fused.fallbacks);
    fused.weights[std::string(kVoiceParts[i].name)] = merges[i].weights();
  }
  if (recipe.keep_posterior) PartMerge(voices, recipe, kPosterior).run(merged, fused.fallbacks);
  const auto& first = voices.front();
  fused.file.family = first.file.family;
  fused.file.sample_rate_hz = first.file.sample_rate_hz;
  fused.file.config = joined_config(voices);
  const SynthesizerForm form{.posterior = recipe.keep_posterior, .weight_norm = has_weight_norm(first.file)};
  const auto expected = rvc_tensor_shapes(rvc_voice_config(first.file).network, form);
  if (!form.weight_norm) merged = fold_weight_norm(merged);
  merged = unfold_weight_norm(merged, expected);
  for (const auto& [name, tensor] : first.file.weights) {  // in the first voice's order
    const bool is_kept =
        part_of_tensor(name) != nullptr || (recipe.keep_posterior && name.starts_with(kPosterior.prefix));
    if (is_kept) fused.file.weights.add(name, merged.at(name));
  }
  return fused;
}

}  // namespace melisma
