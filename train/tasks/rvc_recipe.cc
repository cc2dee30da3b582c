#include "train/tasks/rvc_recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "models/layers/device.h"
#include "models/rvc/training_file.h"
#include "models/weights/model_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/table.h"
#include "train/engine/precision.h"
#include "train/tasks/rvc_loader.h"
#include "train/tasks/rvc_task.h"

namespace melisma {
namespace {

constexpr std::string_view kModelPrefix = "model.";
constexpr std::string_view kContentChannels = "model.content_channels";
constexpr std::string_view kDiscriminatorVersion = "discriminator.version";
constexpr std::string_view kMelKind = "losses.mel_kind";
constexpr std::string_view kPort = "distributed.port";

std::string feature_sets_of(const Dataset& dataset, std::string_view kind) {
  std::vector<std::string> found;
  for (const auto& key : dataset.feature_sets()) {
    if (key.kind == kind) found.push_back(key.parameters);
  }
  return found.empty() ? "none" : fmt::format("{}", fmt::join(found, ", "));
}

// The key of the features that a section of the settings asks for; where it takes weights that are not at hand, what
// there is to use.
template <class Config>
FeatureKey key_in(const Dataset& dataset, const Config& config, std::string_view kind) {
  return with_context(fmt::format("looking for [{0}] among the {0} features of '{1}': {2}", kind,
                                  dataset.path().string(), feature_sets_of(dataset, kind)),
                      [&] { return key_of(config); });
}

void require_features(const Dataset& dataset, const FeatureKey& key) {
  if (dataset.has_features(key)) return;
  fail(ErrorKind::data, "'{}' has no {} features {}; it has: {}. Prepare it with these, or choose in [{}] what it has",
       dataset.path().string(), key.kind, key.parameters, feature_sets_of(dataset, key.kind), key.kind);
}

void require_clips(const Dataset& dataset, const std::vector<Clip>& clips, std::string_view split) {
  if (!clips.empty()) return;
  fail(ErrorKind::data, "the {} split of '{}' is empty; prepare more recordings or another split", split,
       dataset.path().string());
}

// The longest spectra of discriminator v3 and of the multiscale mels mirror 1024 samples at each end.
void check_segment(const RvcSettings& settings) {
  constexpr std::int64_t kMirrored = 1024;
  const auto samples = settings.model.segment_samples();
  if (settings.discriminator.version != "v3" && settings.losses.mel_kind != "multiscale") return;
  if (samples > kMirrored) return;
  fail(ErrorKind::config,
       "segment_frames = {} are {} samples, but discriminator v3 and multiscale mels need more than {}; set "
       "model.segment_frames = {}",
       settings.model.segment_frames, samples, kMirrored, kMirrored / settings.model.hop + 1);
}

void check_dataset(const Dataset& dataset, const RvcSettings& settings) {
  const auto& model = settings.model;
  if (dataset.sample_rate_hz() != model.sample_rate_hz) {
    fail(ErrorKind::data, "'{}' is at {} Hz but the model at {} Hz; choose a preset of that rate or prepare again",
         dataset.path().string(), dataset.sample_rate_hz(), model.sample_rate_hz);
  }
  const auto n_speakers = static_cast<std::int64_t>(dataset.speakers().size());
  if (n_speakers > model.speakers) {
    fail(ErrorKind::config, "'{}' has {} speakers but model.speakers is {}", dataset.path().string(), n_speakers,
         model.speakers);
  }
  require_features(dataset, key_in(dataset, settings.content, "content"));
  require_features(dataset, key_in(dataset, settings.pitch, "pitch"));
}

// The discriminator file that belongs to `from`: named by the settings, or lying beside it; empty if there is none.
std::filesystem::path discriminator_beside(const RvcSettings& settings, const std::filesystem::path& from) {
  if (!settings.discriminator_from.empty()) return settings.discriminator_from;
  const auto beside = from.parent_path() / "discriminator.safetensors";
  if (std::filesystem::exists(beside)) return beside;
  return rvc_discriminator_beside(from).value_or(std::filesystem::path());
}

// The weights of a discriminator file; Error(checkpoint) if it is of another set of sub-discriminators.
StateDict discriminator_weights(const std::filesystem::path& path, const RvcDiscriminatorConfig& expected) {
  return with_context(fmt::format("loading the discriminator '{}'", path.string()), [&] {
    auto weights = read_model(path).weights;
    const auto found = rvc_discriminator_of_shapes(weights);
    if (found == expected) return weights;
    const auto text = [](const RvcDiscriminatorConfig& c) {
      return fmt::format("{} (scale_divisor {}, period_divisor {})", c.version, c.scale_divisor, c.period_divisor);
    };
    fail(ErrorKind::checkpoint,
         "it is a discriminator {}, but the model's is {}; set [discriminator] so, or name another file in "
         "discriminator_from",
         text(found), text(expected));
  });
}

void load_starting_point(RvcTask& task, const RvcSettings& settings, const std::filesystem::path& from,
                         const std::vector<std::string>& speakers,
                         std::vector<std::pair<std::string, std::string>>& facts) {
  const auto remark = load_pretrained(task.generator(), read_model(from), from.string(), speakers);
  facts.emplace_back("starts from", from.string());
  if (!remark.empty()) facts.emplace_back("speaker table", remark);
  const auto judge = discriminator_beside(settings, from);
  if (judge.empty()) {
    facts.emplace_back("discriminator", "untrained: no discriminator.safetensors or D file lies beside the weights");
    return;
  }
  task.discriminator().load(discriminator_weights(judge, settings.discriminator));
  facts.emplace_back("discriminator", judge.string());
}

std::string millions(std::int64_t n) { return fmt::format("{:.1f} M", static_cast<double>(n) / 1e6); }

// Adds a line on the frozen part of a network, if there is one.
void tell_frozen(const Network& network, const std::vector<std::string>& patterns,
                 std::vector<std::pair<std::string, std::string>>& facts) {
  if (patterns.empty()) return;
  std::int64_t left = 0;
  for (const auto& [name, tensor] : network.module->trainable_parameters()) left += tensor.numel();
  const auto total = network.module->n_parameters();
  facts.emplace_back("frozen", fmt::format("{} of {} parameters of the {}: {}", millions(total - left), millions(total),
                                           network.name, fmt::join(patterns, ", ")));
}

// The lines of the run header.
std::vector<std::pair<std::string, std::string>> facts_of(const RvcSettings& settings, RvcTask& task,
                                                          const RvcPieces& pieces) {
  const auto& model = settings.model;
  const auto& losses = settings.losses;
  std::vector<std::pair<std::string, std::string>> facts{
      {"model", fmt::format("{}, {}, {} Hz, {} + {} parameters", settings.preset, vocoder_of(model).tool_name,
                            model.sample_rate_hz, millions(task.generator().n_parameters()),
                            millions(task.discriminator().n_parameters()))},
      {"features", fmt::format("content {} ({} columns), pitch {}", settings.content.method, model.content_channels,
                               settings.pitch.method)},
      {"losses",
       fmt::format("mel {:g}, kl {:g}, feature {:g}, adversarial {:g}; {} mels, discriminator {}", losses.mel,
                   losses.kl, losses.feature, losses.adversarial, losses.mel_kind, settings.discriminator.version)},
      {"clips",
       fmt::format("{} of {:.0f} s as {} pieces ({} cut to length, {} shorter than a segment)", pieces.n_clips,
                   static_cast<double>(pieces.n_frames) / 100, pieces.pieces.size(), pieces.n_cut, pieces.n_padded)},
      {"batches", fmt::format("{} clips, segments of {} frames", settings.data.batch_size, model.segment_frames)}};
  if (const auto caveat = vocoder_of(model).caveat; !caveat.empty()) facts.emplace_back("vocoder", caveat);
  const auto networks = task.networks();
  tell_frozen(networks[0], settings.freeze.discriminator, facts);
  tell_frozen(networks[1], settings.freeze.generator, facts);
  return facts;
}

std::string kept_fact(const RvcPieces& pieces, const RvcSettings& settings, std::optional<at::Device> kept_on) {
  const auto size = format_bytes(size_in_bytes(pieces, settings));
  if (kept_on) return fmt::format("kept on {} from the first epoch on: {}", device_text(*kept_on), size);
  return fmt::format("read for each batch: {} of them, data.keep is {}", size, settings.data.keep);
}

}  // namespace

RvcRecipe::RvcRecipe() { follow(); }

// What is not chosen but follows from other settings; with features of a network, what its weights usually give, until
// compose() asks the dataset.
void RvcRecipe::follow() {
  settings_.model.content_channels = usual_content_width(settings_.content);
  const bool is_refinegan = settings_.model.vocoder == "refinegan";
  if (!is_chosen(kDiscriminatorVersion)) settings_.discriminator.version = is_refinegan ? "v3" : "v2";
  if (!is_chosen(kMelKind)) settings_.losses.mel_kind = is_refinegan ? "multiscale" : "single";
}

bool RvcRecipe::is_chosen(std::string_view path) const {
  return std::ranges::any_of(chosen_, [&](const auto& item) { return item.first == path; });
}

Schema RvcRecipe::schema() {
  auto schema = schema_of(settings_);
  for (auto& setting : schema) {
    const auto is_kept = (setting.path.starts_with(kModelPrefix) && setting.path != kContentChannels) ||
                         setting.path == kDiscriminatorVersion || setting.path == kMelKind;
    setting.set = [this, is_kept, path = setting.path, set = setting.set](const nlohmann::ordered_json& given) {
      const auto value = path == kPort && given.is_number_integer() ? nlohmann::ordered_json(given.dump()) : given;
      auto problem = set(value);
      if (!problem.empty()) return problem;
      if (is_kept) chosen_.emplace_back(path, value);
      if (path == "preset") {
        settings_.model = find_row(kRvcConfigs, settings_.preset, "RVC configuration").make();
        auto plain = schema_of(settings_);
        for (const auto& [chosen_path, chosen] : chosen_) {
          for (auto& field : plain) {
            if (field.path == chosen_path) (void)field.set(chosen);
          }
        }
      }
      follow();
      const bool is_known = !content_needs_weights(settings_.content);
      if (path == kContentChannels && is_known && value.get<std::int64_t>() != settings_.model.content_channels) {
        return fmt::format("follows from [content], which has {} channels", settings_.model.content_channels);
      }
      return problem;
    };
  }
  return schema;
}

ComposedTask RvcRecipe::compose(const RecipeInputs& inputs) {
  const auto device = open_device(settings_.trainer.device, inputs.local_rank, inputs.local_size);
  require_precision(settings_.trainer.precision, device);
  const auto& dataset = *inputs.dataset;
  settings_.pitch = pitch_as_stored(settings_.pitch, dataset.feature_sets());
  settings_.content = content_as_stored(settings_.content, dataset.feature_sets());
  follow();
  if (const auto key = key_in(dataset, settings_.content, "content"); dataset.has_features(key)) {
    settings_.model.content_channels = dataset.feature_width(key);
  }
  check_config(settings_.model);
  check_segment(settings_);
  check_dataset(dataset, settings_);
  const auto training = dataset.clips_of(Split::train), held_out = dataset.clips_of(Split::validation);
  require_clips(dataset, training, "train");
  require_clips(dataset, held_out, "validation");
  auto pieces = cut_into_pieces(training, settings_);
  const RvcVoiceConfig voice{settings_.model, key_of(settings_.content).parameters, key_of(settings_.pitch).parameters,
                             dataset.speakers()};
  const auto count = settings_.validation.clips;
  auto task =
      std::make_unique<RvcTask>(settings_, voice, inputs.dataset, spread(held_out, count), spread(training, count));
  ComposedTask composed;
  composed.facts = facts_of(settings_, *task, pieces);
  if (inputs.from) load_starting_point(*task, settings_, *inputs.from, dataset.speakers(), composed.facts);
  composed.facts.emplace_back("device",
                              fmt::format("{}, networks in {}", device_text(device), settings_.trainer.precision));
  composed.plan.trainer = settings_.trainer;
  composed.plan.device = device;
  composed.plan.optimizers = {{"discriminator", settings_.discriminator_optimizer},
                              {"generator", settings_.generator_optimizer}};
  composed.plan.overtraining = settings_.overtraining;
  composed.plan.checkpoints = settings_.checkpoints;
  composed.distributed = settings_.distributed;
  const auto kept_on = place_to_keep(pieces, settings_, device, inputs.local_size);
  composed.facts.emplace_back("clips in memory", kept_fact(pieces, settings_, kept_on));
  composed.loader = std::make_unique<RvcLoader>(inputs.dataset, settings_, std::move(pieces), inputs.shard, kept_on);
  composed.task = std::move(task);
  return composed;
}

std::unique_ptr<Recipe> make_rvc_recipe() { return std::make_unique<RvcRecipe>(); }

}  // namespace melisma
