// The trials of a sweep, and how long each is trained before some are dropped: all of it follows from the settings.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "experiments/sweeps/search_space.h"
#include "experiments/sweeps/sweep_config.h"
#include "tools/config/schema.h"

namespace melisma {

// One combination of settings.
struct SweepTrial {
  std::string name;                   // "t003", "baseline"
  std::vector<std::string> settings;  // "key=value"; none for the baseline
};

// So many trials train until this many epochs are done.
struct SweepRung {
  std::int64_t n_trials = 0, epochs = 0;
};

struct SweepPlan {
  SweepConfig config;
  std::vector<SearchKey> keys;
  std::vector<SweepTrial> trials;  // those that are compared
  SweepTrial baseline;             // what all share, nothing changed
  std::vector<SweepRung> rungs;    // one, unless by halving
  std::string metric;              // held out, lower is better
  std::uint64_t first_seed = 0;    // trainer.seed of the first run of each trial
};

// A schema of the recipe's settings at their defaults, and what holds them.
struct RecipeSettings {
  std::shared_ptr<void> owner;
  Schema schema;
};
using OpenRecipe = std::function<RecipeSettings(const std::string& recipe)>;

// Plans a sweep. Every combination is tried on the recipe's real settings, `base` (TOML text, may be empty) and
// config.set first: Error(config) with every problem before anything is trained. Error(usage) where keys are missing or
// asked for twice.
[[nodiscard]] SweepPlan plan_sweep(const SweepConfig& config, std::vector<SearchKey> keys, const std::string& base,
                                   const OpenRecipe& open);

// The rungs of successive halving (Jamieson and Talwalkar 2016; Karnin, Koren and Somekh 2013): each keeps one of
// `reduction` trials, rounded up, and the last one trains for `epochs` in all.
[[nodiscard]] std::vector<SweepRung> halving_rungs(std::int64_t n_trials, std::int64_t epochs, double reduction,
                                                   std::int64_t first_epochs);

}  // namespace melisma
