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
  // the content features, discriminator.version and losses.mel_kind the vocoder unless they are set.
  [[nodiscard]] Schema schema() override;
  void set_epochs(std::int64_t epochs) override { settings_.trainer.epochs = epochs; }
  [[nodiscard]] ComposedTask compose(const RecipeInputs& inputs) override;
  [[nodiscard]] const RvcSettings& settings() const { return settings_; }

 private:
  void follow();
  [[nodiscard]] bool is_chosen(std::string_view path) const;
  RvcSettings settings_;
  std::vector<std::pair<std::string, nlohmann::ordered_json>>
      chosen_;  // what is set keeps its value, whatever else is set
};

}  // namespace melisma
