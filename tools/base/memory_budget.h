// Memory shared out among threads: work that needs more than is left waits until other work is over.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace melisma {

class MemoryBudget {
 public:
  explicit MemoryBudget(std::int64_t bytes) : bytes_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // A share of it, given back when it goes. Waits until it is free; what needs more than all of it runs alone.
  class Share {
   public:
    Share(MemoryBudget& budget, std::int64_t bytes);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    MemoryBudget& budget_;
    std::int64_t bytes_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  std::int64_t bytes_, used_ = 0;
};

// Half of the machine's memory.
[[nodiscard]] std::int64_t half_of_memory();

}  // namespace melisma
