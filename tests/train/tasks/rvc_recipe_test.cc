// Which features a recipe takes from a dataset.
#include "train/tasks/rvc_recipe.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/sets/dataset_writer.h"
#include "models/weights/pth_file.h"
#include "tests/support/golden.h"
#include "tools/base/error.h"
#include "tools/config/config.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;

// A dataset of two clips whose pitch features were made with weights that nobody here has.
std::shared_ptr<const Dataset> dataset_with(const std::filesystem::path& path, const PitchConfig& pitch_config) {
  const RvcSettings settings;
  const auto width = content_width(settings.content);
  const std::vector<std::int64_t> frames{50, 50};
  DatasetPlan plan{.sample_rate_hz = 40000, .parameters = "{}", .tool_version = "0", .speakers = {"ann"}};
  for (std::int64_t i = 0; i < 2; ++i) {
    const auto split = i == 0 ? Split::train : Split::validation;
    plan.clips.push_back({.index = i, .recording = std::to_string(i) + ".wav", .length = 20000, .split = split});
  }
  write_dataset(path, plan, [&](DatasetWriter& writer) {
    const FeaturePlan content{key_of(settings.content), width, frames}, pitch{key_of(pitch_config), 1, frames};
    writer.begin_features(content);
    writer.begin_features(pitch);
    for (std::int64_t i = 0; i < 2; ++i) {
      writer.write_wave(i, std::vector<float>(20000, 0.1F));
      writer.write_features(content.key, i, std::vector<float>(static_cast<std::size_t>(50 * width), 0.1F));
      writer.write_features(pitch.key, i, std::vector<float>(50, 200.0F));
    }
  });
  return std::make_shared<const Dataset>(Dataset::open(path));
}

RvcRecipe tiny_recipe(const std::vector<std::string>& more) {
  RvcRecipe recipe;
  auto schema = recipe.schema();
  std::vector<std::string> settings{"model.inter_channels=8",
                                    "model.hidden_channels=8",
                                    "model.filter_channels=8",
                                    "model.n_layers=1",
                                    "model.posterior_layers=1",
                                    "model.speaker_channels=4",
                                    "model.speakers=2",
                                    "model.upsample_initial_channels=16",
                                    "discriminator.version=v1",
                                    "discriminator.scale_divisor=16",
                                    "discriminator.period_divisor=32"};
  settings.insert(settings.end(), more.begin(), more.end());
  configure(schema, std::nullopt, settings);
  return recipe;
}

TEST(RvcRecipe, TrainsOnFeaturesWhoseWeightsAreElsewhere) {
  const testing::TemporaryFolder folder;
  const std::string sha256(64, 'a');
  const auto dataset = dataset_with(folder / "voice.h5", {.method = "rmvpe", .rmvpe = {.weights_sha256 = sha256}});
  auto recipe = tiny_recipe({"pitch.method=rmvpe", "pitch.rmvpe.weights=nowhere.pt"});
  const auto composed = recipe.compose({.dataset = dataset});
  EXPECT_EQ(recipe.settings().pitch.rmvpe.weights_sha256, sha256);
  EXPECT_NE(composed.task, nullptr);
}

// {"model": weights in half precision times 2, ...} as the tools' pretrained bases are kept.
void write_base(const std::filesystem::path& path, const Module& network) {
  auto weights = std::make_shared<PickleDict>();
  weights->is_ordered = true;
  for (const auto& [name, tensor] : network.state_dict()) weights->set(name, (tensor * 2).to(at::kHalf));
  auto root = std::make_shared<PickleDict>();
  root->set("model", std::move(weights));
  root->set("iteration", std::int64_t{500});
  root->set("optimizer", {});
  root->set("learning_rate", 1e-4);
  write_pth(path, root);
}

TEST(RvcRecipe, StartsFromPretrainedBasesInHalfPrecisionAndFindsTheirDiscriminator) {
  const testing::TemporaryFolder folder;
  const auto dataset = dataset_with(folder / "voice.h5", {});
  auto recipe = tiny_recipe({});
  const auto fresh = recipe.compose({.dataset = dataset});
  for (const auto& network : fresh.task->networks()) {
    write_base(folder / (network.name == "generator" ? "f0G40k.pth" : "f0D40k.pth"), *network.module);
  }
  const auto started = recipe.compose({.dataset = dataset, .from = folder / "f0G40k.pth"});
  EXPECT_THAT(started.facts, ::testing::Contains(std::pair<std::string, std::string>(
                                 "discriminator", (folder / "f0D40k.pth").string())));
  for (std::size_t i = 0; i < 2; ++i) {
    const auto before = fresh.task->networks()[i].module->state_dict();
    for (const auto& [name, tensor] : started.task->networks()[i].module->state_dict()) {
      EXPECT_EQ(tensor.scalar_type(), at::kFloat);
      EXPECT_TRUE(at::equal(tensor, (before.at(name) * 2).to(at::kHalf).to(at::kFloat))) << name;
    }
  }
}

TEST(RvcRecipe, SaysWhatPitchFeaturesThereAre) {
  const testing::TemporaryFolder folder;
  const auto dataset = dataset_with(folder / "voice.h5", {.method = "yin"});
  try {
    auto recipe = tiny_recipe({"pitch.method=rmvpe", "pitch.rmvpe.weights=nowhere.pt"});
    (void)recipe.compose({.dataset = dataset});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("there are no weights 'nowhere.pt'"));
    EXPECT_THAT(error.what(), HasSubstr(R"("method":"yin")"));
  }
}

}  // namespace
}  // namespace melisma
