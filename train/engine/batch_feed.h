// The micro-batches of a step, the next step's being made, and sent to the networks' device, on another thread
// meanwhile.
#pragma once
#include <cstdint>
#include <future>
#include <vector>

#include "train/engine/task.h"

namespace melisma {

class BatchFeed {
 public:
  // The loader must outlive the feed.
  BatchFeed(const Loader& loader, std::int64_t accumulation, at::Device device)
      : loader_(loader), accumulation_(accumulation), device_(device) {}

  // The step's micro-batches beginning at `first`: `accumulation` of them, fewer at the end of an epoch, so that none
  // is left out. Every batch is made on the worker, so that where a run was resumed makes no difference. Rethrows what
  // the loader threw.
  [[nodiscard]] std::vector<Batch> take(std::int64_t epoch, std::int64_t first);

 private:
  void begin(std::int64_t epoch, std::int64_t first);

  const Loader& loader_;
  std::int64_t accumulation_;
  at::Device device_;
  std::int64_t epoch_ = -1, first_ = -1;  // of what is being made
  std::future<std::vector<Batch>> made_;
};

}  // namespace melisma
