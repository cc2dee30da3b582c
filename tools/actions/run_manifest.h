// What a run notes about itself when it is made: program, data, machine, and a name for what is computed.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "train/tasks/recipe.h"

namespace melisma {

struct RunOrigin {
  std::string recipe;
  std::string version, commit;  // of the program
  std::uint64_t seed = 0;
};

// This process's program and arguments.
[[nodiscard]] std::vector<std::string> command_words();

// manifest.json without what the run starts from ("from" is null).
[[nodiscard]] nlohmann::ordered_json run_manifest(const RunOrigin& origin, const Dataset& dataset);

// Names what is computed: settings, data, and the weights it starts from (their SHA-256; empty = fresh ones).
[[nodiscard]] std::string run_signature(const RecipeRow& row, Recipe& recipe, const Dataset& dataset,
                                        const std::string& weights_sha256);

}  // namespace melisma
