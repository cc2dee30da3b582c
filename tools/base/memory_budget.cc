#include "tools/base/memory_budget.h"

#include <unistd.h>

#include <algorithm>

namespace melisma {

MemoryBudget::Share::Share(MemoryBudget& budget, std::int64_t bytes)
    : budget_(budget), bytes_(std::min(bytes, budget.bytes_)) {
  std::unique_lock lock(budget_.mutex_);
  budget_.freed_.wait(lock, [&] { return budget_.used_ + bytes_ <= budget_.bytes_; });
  budget_.used_ += bytes_;
}

MemoryBudget::Share::~Share() {
  {
    const std::lock_guard lock(budget_.mutex_);
    budget_.used_ -= bytes_;
  }
  budget_.freed_.notify_all();
}

std::int64_t half_of_memory() {
  const auto pages = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES));
  return std::max<std::int64_t>(std::int64_t{1} << 28, pages * static_cast<std::int64_t>(::sysconf(_SC_PAGESIZE)) / 2);
}

}  // namespace melisma
