// How many threads OpenMP, and with it LibTorch, may use below a function that was told so.
#pragma once
#include <omp.h>

namespace melisma {

// Limits OpenMP, and with it LibTorch, on the calling thread for its lifetime; 0 changes nothing.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads) : before_(omp_get_max_threads()) {
    if (threads > 0) omp_set_num_threads(threads);
  }
  ~ThreadLimit() { omp_set_num_threads(before_); }
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

}  // namespace melisma
