#include "train/tasks/mix_task.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>

#include "models/layers/device.h"
#include "models/layers/norms.h"
#include "models/mix/audio_features.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"

namespace melisma {
namespace mix_task {
namespace {

using Terms = std::vector<std::pair<std::string, at::Tensor>>;

// sums[i] += terms[i] * share
void add_terms(Terms& sums, const Terms& terms, double share) {
  if (sums.empty()) {
    for (const auto& [name, value] : terms) sums.emplace_back(name, value * share);
    return;
  }
  for (std::size_t i = 0; i < terms.size(); ++i) sums[i].second = sums[i].second + terms[i].second * share;
}

ConsoleControls item_of(const ConsoleControls& controls, std::int64_t row) {
  const auto one = [&](const at::Tensor& part) { return part.defined() ? part.narrow(0, row, 1) : part; };
  return {one(controls.tracks), one(controls.master), one(controls.reverb)};
}

// Where the excerpts of a song that are scored begin.
std::vector<std::int64_t> firsts_of(const Song& song, std::int64_t n, std::int64_t samples) {
  const auto length = std::max(song.length(), samples);
  std::vector<std::int64_t> firsts;
  for (std::int64_t i = 0; i < n; ++i) firsts.push_back((length - samples) * (2 * i + 1) / (2 * n));
  firsts.erase(std::unique(firsts.begin(), firsts.end()), firsts.end());
  return firsts;
}

std::vector<float> mono_of(const at::Tensor& stereo) {
  const auto mono = stereo.mean(0).to(at::kCPU).contiguous();
  return {mono.const_data_ptr<float>(), mono.const_data_ptr<float>() + mono.numel()};
}

}  // namespace
}  // namespace mix_task

at::Tensor equal_gain_mix(const at::Tensor& tracks, const at::Tensor& target) {
  const auto sum = tracks.sum(0, true).expand({2, tracks.size(1)});
  const auto level = mix_rms(target).mean() / mix_rms(sum).mean();
  return sum * level;
}

MixTask::MixTask(const MixSettings& settings, std::shared_ptr<const Dataset> dataset, std::vector<Song> held_out,
                 std::vector<Song> training)
    : settings_(settings),
      dataset_(std::move(dataset)),
      held_out_(std::move(held_out)),
      training_(std::move(training)),
      model_(make_mix_model(settings.model)) {
  auto generator = at::detail::createCPUGenerator(seed_of(settings.trainer.seed, "weights/mixer"));
  model_->initialise(generator);
}

Losses MixTask::losses(std::size_t, const Batch& batch, const StepContext& context) {
  const TrainingScope training(context.generator("mixer"));
  const auto has_reference =
      std::ranges::any_of(batch.items(), [](const auto& item) { return item.name == "reference"; });
  const auto& present = batch.at("present");
  const auto made = model_->mix({.tracks = batch.at("tracks"),
                                 .present = present,
                                 .reference = has_reference ? batch.at("reference") : at::Tensor()});
  const auto n = made.wave.size(0);
  Losses losses;
  for (std::int64_t row = 0; row < n; ++row) {
    const MixCriterion judge(settings_.losses, {.wave = batch.at("mix").narrow(0, row, 1),
                                                .present = present.narrow(0, row, 1),
                                                .sample_rate_hz = settings_.model.sample_rate_hz});
    const auto judged = judge({.wave = made.wave.narrow(0, row, 1), .controls = mix_task::item_of(made.controls, row)});
    const auto total = judged.total / static_cast<double>(n);
    losses.total = losses.total.defined() ? losses.total + total : total;
    mix_task::add_terms(losses.terms, judged.terms, 1 / static_cast<double>(n));
  }
  return losses;
}

NamedValues MixTask::score(const std::vector<Song>& songs, std::int64_t step, EventSink* events) const {
  const c10::NoGradGuard no_grad;
  const auto device = model_->state_dict().begin()->second.device();
  const auto samples = settings_.data.excerpt_samples;
  NamedValues sums;
  const auto add = [&](const std::string& name, double value) {
    const auto found = std::ranges::find_if(sums, [&](const auto& item) { return item.first == name; });
    if (found == sums.end()) {
      sums.emplace_back(name, value);
    } else {
      found->second += value;
    }
  };
  std::int64_t n = 0, n_kept = 0;
  for (const auto& song : songs) {
    for (const auto first : mix_task::firsts_of(song, settings_.validation.excerpts, samples)) {
      const auto excerpt = excerpt_of(*dataset_, song, first, samples, settings_.data.max_tracks);
      const auto target = on_device(excerpt.mix, device);
      const MixCriterion judge(settings_.losses,
                               {.wave = target.unsqueeze(0), .sample_rate_hz = settings_.model.sample_rate_hz});
      const auto made = model_->mix({.tracks = on_device(excerpt.tracks, device).unsqueeze(0)});
      const auto judged = judge(made);
      add("mix_loss", judged.total.item<double>());
      const auto plain = equal_gain_mix(on_device(excerpt.tracks, device), target);
      add("equal_gain_loss", judge({.wave = plain.unsqueeze(0)}).total.item<double>());
      for (const auto& [name, value] : judged.terms) add(name, value.item<double>());
      ++n;
      if (events == nullptr || n_kept >= settings_.validation.samples || !ranks_->is_first()) continue;
      const auto tag = fmt::format("validation/{}", n_kept++);
      const auto rate = settings_.model.sample_rate_hz;
      events->receive(AudioEvent{tag + "/made", step, rate, mix_task::mono_of(made.wave[0])});
      events->receive(AudioEvent{tag + "/mixed", step, rate, mix_task::mono_of(target)});
    }
  }
  for (auto& [name, value] : sums) value /= static_cast<double>(std::max<std::int64_t>(n, 1));
  return sums;
}

NamedValues MixTask::validate(std::int64_t, std::int64_t step, EventSink& events) {
  return score(held_out_, step, &events);
}

NamedValues MixTask::validate_on_training(std::int64_t, std::int64_t step) { return score(training_, step, nullptr); }

}  // namespace melisma
