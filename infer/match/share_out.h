// Work shared out so that its result does not depend on how many threads take part.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#include "data/signal/thread_limit.h"

namespace melisma {

// Calls task(0) ... task(n_tasks - 1), each once, on as many threads as OpenMP may use here. They are new ones on which
// every library computes alone: a transform planned for several threads rounds otherwise. The first exception is
// thrown once all have ended.
template <class Task>
void share_out(std::int64_t n_tasks, const Task& task) {
  const auto n_threads = std::min<std::int64_t>(omp_get_max_threads(), n_tasks);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(std::max<std::int64_t>(n_threads, 0)));
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < n_threads; ++t) {
    threads.emplace_back([&, t] {
      const ThreadLimit alone(1);
      try {
        for (auto i = t * n_tasks / n_threads; i < (t + 1) * n_tasks / n_threads; ++i) task(i);
      } catch (...) {
        errors[static_cast<std::size_t>(t)] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace melisma
