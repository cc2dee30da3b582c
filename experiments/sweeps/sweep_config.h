// What a sweep is: [sweep] of its TOML file, or options of `melisma sweep run`.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tools/config/fields.h"

namespace melisma {

inline constexpr std::array<std::string_view, 3> kSweepMethods{"grid", "random", "halving"};

struct SweepConfig {
  std::string name, recipe = "rvc", dataset, config;
  std::vector<std::string> set;
  std::string method = "grid";
  std::int64_t trials = 16;
  double reduction = 3;
  std::int64_t first_epochs = 0;
  std::int64_t seeds = 1;
  std::uint64_t seed = 1;
  std::int64_t priority = 0;
  std::string device;
  bool test = true;
  static constexpr auto fields() {
    using C = SweepConfig;
    return std::tuple{
        field("name", &C::name, "what the sweep and its runs are called"),
        field("recipe", &C::recipe, "what is trained"),
        field("dataset", &C::dataset, "a name in the workspace, or a file"),
        field("config", &C::config, "TOML file with settings that all trials share; its copy is kept with the sweep"),
        field("set", &C::set, "more settings that all trials share, each \"key=value\""),
        field(
            "method", &C::method,
            "grid: every combination; random: `trials` drawn ones; halving: `trials` drawn ones, of which the best go "
            "on for longer")
            .choices(kSweepMethods),
        field("trials", &C::trials, "combinations that are drawn").range(1, 100000),
        field("reduction", &C::reduction, "halving: of so many trials one goes on, for so many times the epochs")
            .range(1.5, 100),
        field("first_epochs", &C::first_epochs,
              "halving: epochs before the first selection; 0 = such that the last trial trains for trainer.epochs")
            .at_least(0),
        field("seeds", &C::seeds, "runs of each combination, which differ in trainer.seed; their mean is compared")
            .range(1, 1000),
        field("seed", &C::seed, "seed of what is drawn"),
        field("priority", &C::priority, "of the jobs; more comes first"),
        field("device", &C::device, "of the jobs: cpu, cuda (any GPU) or cuda:N; empty = whatever is free"),
        field("test", &C::test,
              "the winner and the baseline are scored on the test split, which nothing was selected on, in the end"),
    };
  }
};

}  // namespace melisma
