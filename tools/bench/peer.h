// What benchmarks share: seconds of an action, and peers asked through scripts of ours in Python.
#pragma once
#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace melisma {

// CPU seconds of this process so far, all threads.
[[nodiscard]] double cpu_seconds();
// Seconds of a clock that never goes back; only differences mean something.
[[nodiscard]] double wall_seconds();

// The least CPU seconds of several runs.
template <class Action>
[[nodiscard]] double cheapest(int repeats, Action action) {
  double best = std::numeric_limits<double>::infinity();
  for (int run = 0; run < repeats; ++run) {
    const double begin = cpu_seconds();
    action();
    best = std::min(best, cpu_seconds() - begin);
  }
  return best;
}

// The JSON object that `script` (of tools/bench/peers) prints when `python` runs it on `threads` threads; an empty
// object where the interpreter or a package is missing.
[[nodiscard]] nlohmann::json ask_peer(const std::string& python, std::string_view script,
                                      const std::vector<std::string>& arguments, int threads = 1);

// The samples as a peer reads them: raw 32-bit floats.
void write_samples(const std::filesystem::path& path, std::span<const float> samples);

}  // namespace melisma
