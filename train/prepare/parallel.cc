#include "train/prepare/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "tools/base/stop.h"

namespace melisma {

int n_usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

bool for_each_parallel(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> is_failed = false;
  std::mutex mutex;
  std::size_t failed_piece = count;
  std::exception_ptr failure;
  const auto run = [&] {
    while (!is_failed && stop_requested() == 0) {
      const std::size_t piece = next++;
      if (piece >= count) return;
      try {
        work(piece);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (piece < failed_piece) {
          failed_piece = piece;
          failure = std::current_exception();
        }
        is_failed = true;
      }
    }
  };
  std::vector<std::thread> helpers;
  const auto n_helpers = std::min<std::size_t>(count, static_cast<std::size_t>(std::max(threads, 1)));
  for (std::size_t i = 1; i < n_helpers; ++i) helpers.emplace_back(run);
  run();
  for (auto& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
  return next >= count;
}

}  // namespace melisma
