#include "tools/actions/train_header.h"

#include <fmt/format.h>

#include "experiments/runs/held_out_caveat.h"
#include "tools/actions/compute_facts.h"
#include "tools/base/format.h"

namespace melisma {
namespace {

std::string songs_text(const Dataset& dataset) {
  auto text = fmt::format("{}: {} Hz", dataset.path().string(), dataset.sample_rate_hz());
  for (const auto split : {Split::train, Split::validation, Split::test}) {
    std::int64_t frames = 0;
    const auto songs = dataset.songs_of(split);
    for (const auto& song : songs) frames += song.length();
    text += fmt::format(", {} {} songs ({})", name_of(split), songs.size(),
                        format_seconds(static_cast<double>(frames) / static_cast<double>(dataset.sample_rate_hz())));
  }
  return text;
}

std::string dataset_text(const Dataset& dataset) {
  if (dataset.kind() == DatasetKind::multitrack) return songs_text(dataset);
  auto text = fmt::format("{}: {} Hz, {} speaker{}", dataset.path().string(), dataset.sample_rate_hz(),
                          dataset.speakers().size(), dataset.speakers().size() == 1 ? "" : "s");
  for (const auto split : {Split::train, Split::validation, Split::test}) {
    std::int64_t samples = 0;
    const auto clips = dataset.clips_of(split);
    for (const auto& clip : clips) samples += clip.length;
    text += fmt::format(", {} {} clips ({})", name_of(split), clips.size(),
                        format_seconds(static_cast<double>(samples) / static_cast<double>(dataset.sample_rate_hz())));
  }
  return text;
}

std::string optimizer_text(const OptimizerConfig& config) {
  return fmt::format(
      "AdamW, lr {:g} x {:g} an epoch, betas {:g} {:g}, eps {:g}, weight decay {:g}, warm-up {}, clip {}", config.lr,
      config.lr_decay, config.beta1, config.beta2, config.eps, config.weight_decay, config.warmup.text(),
      config.clip_norm > 0 ? fmt::format("{:g}", config.clip_norm) : "off");
}

std::string overtraining_text(const OvertrainingConfig& config) {
  if (config.rule == "off") return fmt::format("check off; best epoch by {}", config.metric);
  if (config.rule == "patience") {
    return fmt::format("patience: stops after {} evaluations without a fall of {} by more than {:g}", config.patience,
                       config.metric, config.min_delta);
  }
  return fmt::format("{} of {} over {} evaluations at level {:g}", config.rule, config.metric, config.window,
                     config.alpha);
}

std::string length_text(const TrainerConfig& config, std::int64_t n_batches) {
  const auto steps = (n_batches + config.accumulation - 1) / config.accumulation;
  auto text = fmt::format("{} epochs of {} steps", config.epochs, steps);
  if (config.accumulation > 1) text += fmt::format(" ({} micro-batches each)", config.accumulation);
  text += fmt::format(", seed {}, held-out clips scored every {}", config.seed, config.validate_every.text());
  if (config.ema_decay > 0) text += fmt::format(", weights averaged with decay {:g}", config.ema_decay);
  return text;
}

}  // namespace

void say_header(EventSink& events, const TrainingHeader& header) {
  const auto& plan = header.plan;
  std::vector<std::pair<std::string, std::string>> lines{{"run", header.run.folder().string()},
                                                         {"dataset", dataset_text(header.dataset)}};
  lines.insert(lines.end(), header.facts.begin(), header.facts.end());
  lines.emplace_back("training", length_text(plan.trainer, header.loader.n_batches(1)));
  for (const auto& [network, config] : plan.optimizers)
    lines.emplace_back("step of " + network, optimizer_text(config));
  lines.emplace_back("overtraining", overtraining_text(plan.overtraining));
  lines.emplace_back(
      "checkpoints",
      fmt::format("every {}, the last {} and the best {} are kept{}", plan.checkpoints.every.text(),
                  plan.checkpoints.keep_last, plan.checkpoints.keep_best,
                  plan.checkpoints.keep_every.is_off() ? "" : ", and one every " + plan.checkpoints.keep_every.text()));
  lines.emplace_back("computing", compute_facts().line());
  if (auto caveat = held_out_caveat(header.run.manifest(), header.dataset.content_hash()); !caveat.empty()) {
    lines.emplace_back("held out", std::move(caveat));
  }
  if (header.is_continued) {
    lines.emplace_back("resumed",
                       fmt::format("after {} epochs, {} steps", header.state.epochs_done, header.state.step));
  }
  std::size_t width = 0;
  for (const auto& [name, text] : lines) width = std::max(width, name.size());
  for (const auto& [name, text] : lines) say(events, fmt::format("{:<{}}  {}", name, width, text));
}

}  // namespace melisma
