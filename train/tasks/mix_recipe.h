// The recipe "mix": the checks before a mixing model is trained, and the task and loader that train it.
#pragma once
#include "train/tasks/mix_settings.h"
#include "train/tasks/recipe.h"

namespace melisma {

class MixRecipe final : public Recipe {
 public:
  [[nodiscard]] Schema schema() override { return schema_of(settings_); }
  void set_epochs(std::int64_t epochs) override { settings_.trainer.epochs = epochs; }
  [[nodiscard]] ComposedTask compose(const RecipeInputs& inputs) override;
  [[nodiscard]] const MixSettings& settings() const { return settings_; }

 private:
  MixSettings settings_;
};

}  // namespace melisma
