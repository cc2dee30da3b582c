#include "train/engine/batch_feed.h"

#include <algorithm>

namespace melisma {

void BatchFeed::begin(std::int64_t epoch, std::int64_t first) {
  epoch_ = epoch;
  first_ = first;
  made_ = std::async(std::launch::async, [this, epoch, first] {
    std::vector<Batch> batches;
    const auto end = std::min(loader_.n_batches(epoch), first + accumulation_);
    for (auto index = first; index < end; ++index) batches.push_back(loader_.batch(epoch, index).to(device_));
    return batches;
  });
}

std::vector<Batch> BatchFeed::take(std::int64_t epoch, std::int64_t first) {
  if (!made_.valid() || epoch != epoch_ || first != first_) begin(epoch, first);
  auto batches = made_.get();
  const auto next = first + accumulation_;
  if (next < loader_.n_batches(epoch)) begin(epoch, next);
  return batches;
}

}  // namespace melisma
