// What the loop says while it trains: losses and norms summed on their device, read only when a line is due.
#pragma once
#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tools/base/event.h"
#include "train/engine/ranks.h"

namespace melisma {

// Means of named 0-d tensors over an interval. Nothing waits for the device before means().
class ScalarMeans {
 public:
  // Adds `share` of `value` [] to this step's value of `name`.
  void add(const std::string& name, const at::Tensor& value, double share);
  // Ends a step: its values count unless `bad` [] is true.
  void end_step(const at::Tensor& bad);
  // Forgets this step's values.
  void drop_step();
  // Means since the last call, over all ranks (a collective call), in the order in which names first came on rank 0;
  // names without a good step are left out.
  [[nodiscard]] NamedValues means(Ranks& ranks);

 private:
  struct Sum {
    std::string name;
    at::Tensor step, sum, count;
  };
  std::vector<Sum> sums_;
};

// Seconds since it was made or restarted.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  void restart() { start_ = std::chrono::steady_clock::now(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace melisma
