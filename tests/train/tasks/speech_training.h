// Training of a tiny voice on pseudo-speech, without the program around it.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "data/sets/dataset_writer.h"
#include "infer/features/pitch.h"
#include "tests/data/sets/pseudo_speech.h"
#include "tests/train/engine/tiny_gan.h"
#include "tools/config/config.h"
#include "train/tasks/rvc_recipe.h"
#include "train/tasks/rvc_task.h"

namespace melisma::testing {

inline constexpr std::int64_t kRate = 24000, kFrames = 60, kTrainingClips = 6;

// Clips of pseudo-speech of the speakers ann and bob with features; the last one is held out.
inline std::shared_ptr<const Dataset> speech_dataset(const std::filesystem::path& path) {
  const RvcSettings settings;
  const auto width = content_width(settings.content);
  const std::vector<std::int64_t> frames(kTrainingClips + 1, kFrames);
  DatasetPlan plan{.sample_rate_hz = kRate, .parameters = "{}", .tool_version = "0", .speakers = {"ann", "bob"}};
  for (std::int64_t i = 0; i <= kTrainingClips; ++i) {
    plan.clips.push_back({.index = i,
                          .recording = std::to_string(i) + ".wav",
                          .speaker = i % 2,
                          .length = kFrames * kRate / 100,
                          .split = i < kTrainingClips ? Split::train : Split::validation});
  }
  write_dataset(path, plan, [&](DatasetWriter& writer) {
    const FeaturePlan content{key_of(settings.content), width, frames}, pitch{key_of(settings.pitch), 1, frames};
    writer.begin_features(content);
    writer.begin_features(pitch);
    for (std::int64_t i = 0; i <= kTrainingClips; ++i) {
      const auto numbers = formula_numbers("content" + std::to_string(i), kFrames * width);
      writer.write_wave(i, pseudo_speech(static_cast<std::uint32_t>(i), 0.6, kRate));
      writer.write_features(content.key, i, std::vector<float>(numbers.begin(), numbers.end()));
      writer.write_features(pitch.key, i, std::vector<float>(kFrames, 120.0F));
    }
  });
  return std::make_shared<const Dataset>(Dataset::open(path));
}

// Three steps an epoch.
inline std::vector<std::string> tiny_settings(const std::string& vocoder) {
  return {"preset=v2-24k",
          "model.vocoder=" + vocoder,
          "model.inter_channels=8",
          "model.hidden_channels=8",
          "model.filter_channels=8",
          "model.n_layers=1",
          "model.posterior_layers=1",
          "model.speaker_channels=4",
          "model.speakers=3",
          "model.segment_frames=5",
          "model.upsample_initial_channels=32",
          "model.resblock_kernels=[3]",
          "discriminator.scale_divisor=16",
          "discriminator.period_divisor=32",
          "data.batch_size=2",
          "validation.samples=0"};
}

// A recipe with a trainer over it.
struct SpeechRun {
  RvcRecipe recipe;
  ComposedTask composed;
  RecordingSink sink;
  std::unique_ptr<Trainer> trainer;

  SpeechRun(const std::shared_ptr<const Dataset>& dataset, const std::vector<std::string>& settings) {
    auto schema = recipe.schema();
    configure(schema, std::nullopt, settings);
    composed = recipe.compose({.dataset = dataset});
  }
  [[nodiscard]] RvcTask& task() { return dynamic_cast<RvcTask&>(*composed.task); }
  void train(const std::filesystem::path& folder, std::int64_t epochs, bool resumes = false) {
    auto plan = composed.plan;
    plan.trainer.epochs = epochs;
    plan.checkpoint_folder = folder;
    plan.run = "tiny";
    trainer.reset();
    trainer = std::make_unique<Trainer>(*composed.task, *composed.loader, plan, sink);
    if (resumes) trainer->resume();
    (void)trainer->run();
  }
};

}  // namespace melisma::testing
