// The recipe "rvc": its settings with presets, the checks before a run, and the task and loader it makes.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "train/tasks/recipe.h"
#include "train/tasks/rvc_settings.h"

namespace melisma {

class RvcRecipe final : public Recipe {
 public:
  RvcRecipe();
  // Setting `preset` replaces [model] but for what was or is set in it, whatever the order; content_channels follows
  // the content features.
  [[nodiscard]] Schema schema() override;
  void set_epochs(std::int64_t epochs) override { settings_.trainer.epochs = epochs; }
  [[nodiscard]] ComposedTask compose(const RecipeInputs& inputs) override;
  [[nodiscard]] const RvcSettings& settings() const { return settings_; }

 private:
  void follow();
  RvcSettings settings_;
  std::vector<std::pair<std::string, nlohmann::ordered_json>> chosen_;  // of [model], in the order they were set
};

}  // namespace melisma
