// Every file of experiments/configs/rvc is understood and makes the network it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "models/rvc/discriminator.h"
#include "models/rvc/tensor_shapes.h"
#include "tests/support/golden.h"
#include "tools/config/config.h"
#include "train/tasks/rvc_recipe.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

RvcSettings settings_of(const fs::path& file) {
  RvcRecipe recipe;
  auto schema = recipe.schema();
  configure(schema, file, {});
  return recipe.settings();
}

std::int64_t n_parameters_of(const RvcConfig& config) {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : rvc_tensor_shapes(config, {})) count += tensor.numel();
  return count;
}

TEST(ShippedConfigs, MakeTheNetworksTheySay) {
  const std::map<std::string, std::int64_t> full_size{{"v2-32k", 36880706},        {"v2-40k", 36458818},
                                                      {"v2-48k", 37638466},        {"mrf-40k", 36459340},
                                                      {"refinegan-24k", 35096850}, {"refinegan-32k", 35096850}};
  std::size_t n_seen = 0;
  for (const auto& item : fs::directory_iterator(testing::source_folder() / "experiments/configs/rvc")) {
    const auto name = item.path().stem().string();
    SCOPED_TRACE(name);
    const auto settings = settings_of(item.path());
    EXPECT_NO_THROW(check_config(settings.model));
    const bool is_refinegan = settings.model.vocoder == "refinegan";
    EXPECT_EQ(settings.discriminator.version, is_refinegan ? "v3" : "v2");
    EXPECT_EQ(settings.losses.mel_kind, is_refinegan ? "multiscale" : "single");
    const auto expected = full_size.find(name);
    if (expected == full_size.end()) continue;
    ++n_seen;
    EXPECT_EQ(n_parameters_of(settings.model), expected->second);
    EXPECT_THAT(name, ::testing::HasSubstr(std::to_string(settings.model.sample_rate_hz / 1000) + "k"));
  }
  EXPECT_EQ(n_seen, full_size.size());
}

}  // namespace
}  // namespace melisma
