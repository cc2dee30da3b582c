#include "experiments/sweeps/sweep_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "experiments/runs/run_name.h"
#include "tools/base/error.h"
#include "tools/config/config.h"

namespace melisma {
namespace {

const Setting& setting_at(const Schema& schema, std::string_view path) {
  const auto found = std::ranges::find_if(schema, [&](const Setting& setting) { return setting.path == path; });
  if (found == schema.end()) fail(ErrorKind::usage, "the recipe has no {}, so it cannot be swept", path);
  return *found;
}

// The settings with `base`, what all trials share, and these.
RecipeSettings resolved(const SweepConfig& config, const std::string& base, std::span<const std::string> settings,
                        const OpenRecipe& open) {
  auto recipe = open(config.recipe);
  auto overrides = config.set;
  overrides.insert(overrides.end(), settings.begin(), settings.end());
  configure_from_text(recipe.schema, base, config.config, overrides);
  return recipe;
}

void check_keys(std::vector<SearchKey>& keys, const Schema& schema) {
  if (keys.empty()) fail(ErrorKind::usage, "a sweep needs something to vary: --over key=value,value,... or [over]");
  std::set<std::string> seen;
  for (auto& key : keys) {
    if (!seen.insert(key.path).second) fail(ErrorKind::usage, "{} is varied twice; put its values together", key.path);
    if (key.path == "trainer.seed" || key.path == "trainer.epochs") {
      fail(ErrorKind::usage, "{} is not varied by --over; {}", key.path,
           key.path == "trainer.seed" ? "a sweep's `seeds` says how many runs each combination gets"
                                      : "all trials are to have the same chance: set it for all with --set");
    }
    const auto found = std::ranges::find_if(schema, [&](const Setting& setting) { return setting.path == key.path; });
    key.is_integer = found != schema.end() && found->type == "integer";
  }
}

// Every value on its own, so that one message names all that are wrong.
void check_values(const SweepConfig& config, const std::vector<SearchKey>& keys, const std::string& base,
                  const OpenRecipe& open) {
  std::string problems;
  for (const auto& key : keys) {
    auto values = key.values;
    if (key.range) {
      for (const double bound : {key.range->low, key.range->high}) values.push_back(fmt::format("{:.6g}", bound));
    }
    for (const auto& value : values) {
      try {
        (void)resolved(config, base, std::vector{key.path + "=" + value}, open);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::config) throw;
        const auto& problem = error.message();
        problems += "\n  " + (problem.starts_with("--set ") ? "--over " + problem.substr(6) : problem);
        if (problem.find("unknown") != std::string::npos) break;  // the key itself: once
      }
    }
  }
  if (!problems.empty()) throw Error(ErrorKind::config, "what is to be varied:" + problems);
}

std::vector<SweepTrial> trials_of(const SweepConfig& config, const std::vector<SearchKey>& keys) {
  std::vector<SweepTrial> trials;
  const auto add = [&](std::vector<std::string> settings) {
    trials.push_back({fmt::format("t{:03}", trials.size() + 1), std::move(settings)});
  };
  if (config.method == "grid") {
    for (auto& settings : grid_of(keys)) add(std::move(settings));
  } else {
    for (std::int64_t i = 0; i < config.trials; ++i) add(drawn_from(keys, config.seed, i));
  }
  return trials;
}

}  // namespace

std::vector<SweepRung> halving_rungs(std::int64_t n_trials, std::int64_t epochs, double reduction,
                                     std::int64_t first_epochs) {
  std::vector<SweepRung> rungs{{.n_trials = n_trials}};
  while (rungs.back().n_trials > 1) {
    const auto kept = static_cast<std::int64_t>(std::ceil(static_cast<double>(rungs.back().n_trials) / reduction));
    if (kept == rungs.back().n_trials) break;
    rungs.push_back({.n_trials = kept});
  }
  const auto n_more = static_cast<double>(rungs.size() - 1);
  const double first = first_epochs > 0
                           ? static_cast<double>(first_epochs)
                           : std::max(1.0, std::floor(static_cast<double>(epochs) / std::pow(reduction, n_more)));
  double until = first;
  for (auto& rung : rungs) {
    rung.epochs = std::min(epochs, static_cast<std::int64_t>(std::llround(until)));
    until *= reduction;
  }
  rungs.back().epochs = epochs;
  return rungs;
}

SweepPlan plan_sweep(const SweepConfig& config, std::vector<SearchKey> keys, const std::string& base,
                     const OpenRecipe& open) {
  if (config.name.empty()) fail(ErrorKind::usage, "a sweep needs a --name: it is continued and shown by it");
  check_run_name(config.name);
  if (config.dataset.empty()) fail(ErrorKind::usage, "a sweep needs a --dataset to train on");
  const auto shared = resolved(config, base, {}, open);
  check_keys(keys, shared.schema);
  check_values(config, keys, base, open);
  SweepPlan plan{.config = config, .keys = keys, .trials = trials_of(config, keys), .baseline = {"baseline", {}}};
  for (const auto& trial : plan.trials) (void)resolved(config, base, trial.settings, open);
  plan.metric = setting_at(shared.schema, "overtraining.metric").get().get<std::string>();
  plan.first_seed = setting_at(shared.schema, "trainer.seed").get().get<std::uint64_t>();
  const auto epochs = setting_at(shared.schema, "trainer.epochs").get().get<std::int64_t>();
  const auto n_trials = static_cast<std::int64_t>(plan.trials.size());
  plan.rungs = config.method == "halving" ? halving_rungs(n_trials, epochs, config.reduction, config.first_epochs)
                                          : std::vector{SweepRung{n_trials, epochs}};
  return plan;
}

}  // namespace melisma
