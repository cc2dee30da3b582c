#include "tools/bench/rvc_step_ablation.h"

#include <fmt/format.h>

#include <array>
#include <functional>

#include "data/sets/dataset_writer.h"
#include "eval/statistics/quantile.h"
#include "infer/features/pitch.h"
#include "tools/base/scratch_folder.h"
#include "tools/base/seed.h"
#include "tools/bench/peer.h"
#include "train/engine/batch_feed.h"
#include "train/tasks/rvc_loader.h"

namespace melisma {
namespace {

struct FormTimes {
  StepForm form;
  std::vector<double> seconds = {};
};

// All off, all on, then each switch alone, then each one missing, in the order of kStepSwitches.
std::vector<FormTimes> forms_to_time() {
  std::vector<FormTimes> forms{{kAllSwitchesOff}, {StepForm{}}};
  for (const bool alone : {true, false}) {
    for (const auto& row : kStepSwitches) {
      auto form = alone ? kAllSwitchesOff : StepForm{};
      form.*row.member = alone;
      forms.push_back({form});
    }
  }
  return forms;
}

void time_in_turn(std::vector<FormTimes>& forms, const RvcSettings& settings, const Batch& batch, int repeats) {
  RvcTask task(settings, {}, nullptr, {}, {});
  FormedStep step(task, settings);
  std::int64_t index = 0;
  for (int round = 0; round <= repeats; ++round) {
    for (auto& [form, seconds] : forms) {
      step.set_form(form);
      const double begin = cpu_seconds();
      (void)step(batch, StepContext(1, 1, index++, 0));
      if (round > 0) seconds.push_back(cpu_seconds() - begin);
    }
  }
}

constexpr std::int64_t kClips = 16, kClipFrames = 300;

// A dataset of noise, with the features `settings` ask for.
std::shared_ptr<const Dataset> noise_dataset(const RvcSettings& settings, const std::filesystem::path& path) {
  const auto& model = settings.model;
  const std::vector<std::int64_t> frames(kClips, kClipFrames);
  DatasetPlan plan{
      .sample_rate_hz = model.sample_rate_hz, .parameters = "{}", .tool_version = "0", .speakers = {"noise"}};
  for (std::int64_t i = 0; i < kClips; ++i) {
    plan.clips.push_back({.index = i, .recording = fmt::format("{}.wav", i), .length = kClipFrames * model.hop});
  }
  write_dataset(path, plan, [&](DatasetWriter& writer) {
    const FeaturePlan content{key_of(settings.content), model.content_channels, frames},
        pitch{key_of(settings.pitch), 1, frames};
    writer.begin_features(content);
    writer.begin_features(pitch);
    RandomSource random(7);
    const auto noise = [&](std::int64_t n) {
      std::vector<float> samples(static_cast<std::size_t>(n));
      for (auto& sample : samples) sample = static_cast<float>(0.2 * random.uniform() - 0.1);
      return samples;
    };
    for (std::int64_t i = 0; i < kClips; ++i) {
      writer.write_wave(i, noise(kClipFrames * model.hop));
      writer.write_features(content.key, i, noise(kClipFrames * model.content_channels));
      writer.write_features(pitch.key, i, std::vector<float>(kClipFrames, 220.0F));
    }
  });
  return std::make_shared<const Dataset>(Dataset::open(path));
}

}  // namespace

BenchmarkTable ablate_rvc_loader(const RvcSettings& settings, int repeats) {
  const ScratchFolder folder;
  const auto dataset = noise_dataset(settings, folder / "noise.h5");
  const auto pieces = cut_into_pieces(dataset->clips(), settings);
  const RvcLoader loader(dataset, settings, pieces), keeping(dataset, settings, pieces, {}, at::kCPU);
  BatchFeed feed(loader, 1, at::kCPU), kept_feed(keeping, 1, at::kCPU);
  RvcTask task(settings, {}, nullptr, {}, {});
  FormedStep step(task, settings, StepForm{});
  const auto there_already = loader.batch(1, 0);
  const auto n = loader.n_batches(1);
  for (std::int64_t i = 0; i < n; ++i) (void)keeping.batch(1, i);
  const std::array<std::function<Batch(std::int64_t)>, 4> ways{
      [&](std::int64_t i) { return loader.batch(1 + i / n, i % n); },
      [&](std::int64_t i) { return std::move(feed.take(1 + i / n, i % n).front()); },
      [&](std::int64_t i) { return std::move(kept_feed.take(1 + i / n, i % n).front()); },
      [&](std::int64_t) { return there_already; }};
  std::array<std::vector<double>, 4> seconds;
  for (std::size_t way = 0; way < ways.size(); ++way) {
    for (std::int64_t i = 0; i <= repeats; ++i) {
      const double begin = wall_seconds();
      (void)step(ways.at(way)(i), StepContext(1, 1, i, 0));
      if (i > 0) seconds.at(way).push_back(wall_seconds() - begin);
    }
  }
  const double alone = median(seconds[0]);
  BenchmarkTable table{.title = fmt::format("Where batches are made (medians of {} steps, by the clock)", repeats),
                       .rows = {{"batches", "a step", "faster"}}};
  constexpr std::array<std::string_view, 4> kNames{"on the step's thread", "meanwhile on another",
                                                   "meanwhile, of kept clips", "there already"};
  for (std::size_t way = 0; way < ways.size(); ++way) {
    const double here = median(seconds.at(way));
    table.rows.push_back(
        {std::string(kNames.at(way)), fmt::format("{:.3f} s", here), fmt::format("{:.3f} x", alone / here)});
  }
  return table;
}

BenchmarkTable ablate_rvc_step(const RvcSettings& settings, const Batch& batch, int repeats) {
  auto forms = forms_to_time();
  time_in_turn(forms, settings, batch, repeats);
  std::vector<double> medians;
  for (const auto& form : forms) medians.push_back(median(form.seconds));
  const double none = medians[0], all = medians[1];
  BenchmarkTable table{
      .title = fmt::format("Each switch: how many times faster the step is with it (medians of {} steps "
                           "in turn; all off {:.2f} s, all on {:.2f} s: {:.3f} x)",
                           repeats, none, all, none / all),
      .rows = {{"switch", "alone", "beside the others", "what it does"}}};
  for (std::size_t i = 0; i < kStepSwitches.size(); ++i) {
    const double alone = medians[2 + i], without = medians[2 + kStepSwitches.size() + i];
    table.rows.push_back({std::string(kStepSwitches[i].name), fmt::format("{:.3f} x", none / alone),
                          fmt::format("{:.3f} x", without / all), std::string(kStepSwitches[i].summary)});
  }
  return table;
}

}  // namespace melisma
