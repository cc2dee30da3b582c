#include "train/tasks/mix_recipe.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/layers/device.h"
#include "models/weights/model_file.h"
#include "tools/base/error.h"
#include "train/tasks/mix_loader.h"
#include "train/tasks/mix_task.h"

namespace melisma {
namespace mix_recipe {
namespace {

// The songs of a split that have a mix to learn from.
std::vector<Song> finished(const Dataset& dataset, Split split) {
  auto songs = dataset.songs_of(split);
  const auto n_all = songs.size();
  std::erase_if(songs, [](const Song& song) { return !song.mix.has_value(); });
  if (songs.empty()) {
    fail(ErrorKind::data,
         "the {} split of '{}' has {} songs, but none with a finished mix; a mixing model learns from songs whose mix "
         "is "
         "known",
         name_of(split), dataset.path().string(), n_all);
  }
  return songs;
}

void check(const Dataset& dataset, const MixSettings& settings, const MixModel& model) {
  if (dataset.sample_rate_hz() != settings.model.sample_rate_hz) {
    fail(ErrorKind::data, "'{}' is at {} Hz but the model at {} Hz; set model.sample_rate_hz or prepare again",
         dataset.path().string(), dataset.sample_rate_hz(), settings.model.sample_rate_hz);
  }
  const auto samples = settings.data.excerpt_samples, step = model.length_step();
  if (samples % step != 0) {
    fail(ErrorKind::config, "data.excerpt_samples = {} is no multiple of {}, which {} needs; set it to {}", samples,
         step, settings.model.family, std::max(step, samples / step * step));
  }
  constexpr std::int64_t kLeast = 16385;  // the longest transforms of features and spectra mirror half their length
  if (samples < kLeast) {
    fail(ErrorKind::config, "data.excerpt_samples = {} is too short for the losses; set at least {}", samples, kLeast);
  }
  if (settings.losses.parameters > 0) {
    fail(ErrorKind::config, "losses.parameters needs songs whose console parameters are known; set it to 0");
  }
  if (settings.model.family == "wave-u-net" && settings.data.max_tracks > settings.model.wave_unet.tracks) {
    fail(ErrorKind::config, "data.max_tracks = {} is more than model.wave_unet.tracks = {}; set both alike",
         settings.data.max_tracks, settings.model.wave_unet.tracks);
  }
  if (settings.trainer.precision != "fp32" && settings.trainer.precision != "tf32") {
    fail(ErrorKind::config, "trainer.precision = {}: mixing consoles are computed in fp32 or tf32",
         settings.trainer.precision);
  }
}

std::string losses_text(const MixLossWeights& weights) {
  std::string text;
  std::apply(
      [&](const auto&... fields) {
        const auto add = [&](const auto& field) {
          if (const double weight = weights.*(field.member); weight > 0) {
            text += fmt::format("{}{} {:g}", text.empty() ? "" : ", ", field.name, weight);
          }
        };
        (add(fields), ...);
      },
      MixLossWeights::fields());
  return text;
}

void load_weights(MixModel& model, const std::filesystem::path& from) {
  with_context(fmt::format("starting from '{}'", from.string()), [&] {
    const auto file = read_model(from);
    if (file.family != "mix") {
      fail(ErrorKind::checkpoint, "it holds a model of family '{}'; expected a mixing model", file.family);
    }
    model.load(file.weights);
  });
}

}  // namespace
}  // namespace mix_recipe

ComposedTask MixRecipe::compose(const RecipeInputs& inputs) {
  const auto device = open_device(settings_.trainer.device, inputs.local_rank, inputs.local_size);
  const auto& dataset = *inputs.dataset;
  auto training = mix_recipe::finished(dataset, Split::train),
       held_out = mix_recipe::finished(dataset, Split::validation);
  auto task = std::make_unique<MixTask>(settings_, inputs.dataset, held_out, training);
  mix_recipe::check(dataset, settings_, task->model());
  ComposedTask composed;
  composed.facts = {
      {"model", fmt::format("{}, {} Hz, {:.2f} M parameters", settings_.model.family, settings_.model.sample_rate_hz,
                            static_cast<double>(task->model().n_parameters()) / 1e6)},
      {"losses", mix_recipe::losses_text(settings_.losses)},
      {"songs", fmt::format("{} to learn from, {} held out, with finished mixes", training.size(), held_out.size())},
      {"batches",
       fmt::format(
           "{} excerpts of {:.2f} s, up to {} tracks, levels changed by up to {:g} dB", settings_.data.batch_size,
           static_cast<double>(settings_.data.excerpt_samples) / static_cast<double>(settings_.model.sample_rate_hz),
           settings_.data.max_tracks, settings_.data.random_gain_db)}};
  if (inputs.from) {
    mix_recipe::load_weights(task->model(), *inputs.from);
    composed.facts.emplace_back("weights", inputs.from->string());
  }
  composed.facts.emplace_back("device", device_text(device));
  composed.plan.trainer = settings_.trainer;
  composed.plan.device = device;
  composed.plan.optimizers = {{"mixer", settings_.optimizer}};
  composed.plan.overtraining = settings_.overtraining;
  composed.plan.checkpoints = settings_.checkpoints;
  composed.distributed = settings_.distributed;
  composed.loader = std::make_unique<MixLoader>(inputs.dataset, settings_, std::move(training), inputs.shard);
  composed.task = std::move(task);
  return composed;
}

std::unique_ptr<Recipe> make_mix_recipe() { return std::make_unique<MixRecipe>(); }

}  // namespace melisma
