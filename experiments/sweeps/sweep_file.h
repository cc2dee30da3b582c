// A sweep's TOML file: [sweep] with its settings, [over] with what varies.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "experiments/sweeps/search_space.h"
#include "experiments/sweeps/sweep_config.h"

namespace melisma {

// The settings as the file names them: sweep.method, sweep.trials, ...
struct SweepSettings {
  SweepConfig sweep;
  static constexpr auto fields() { return std::tuple{field("sweep", &SweepSettings::sweep, "the sweep")}; }
};

struct SweepFile {
  SweepConfig config;
  std::vector<SearchKey> keys;
};

// Defaults < file (none if empty) < overrides ("sweep.method=random"). Error(config) with every problem, its file and
// line.
[[nodiscard]] SweepFile read_sweep_file(const std::filesystem::path& file, std::span<const std::string> overrides);

}  // namespace melisma
