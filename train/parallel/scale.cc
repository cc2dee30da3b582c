#include "train/parallel/scale.h"

#include <algorithm>

namespace melisma {

double all_reduce_seconds(double bytes, std::int64_t n_messages, std::int64_t n_ranks, const Link& link) {
  const auto n = static_cast<double>(n_ranks);
  const double bytes_per_second = link.is_shared ? link.bytes_per_second / n : link.bytes_per_second;
  return 2 * (n - 1) / n * bytes / bytes_per_second +
         2 * (n - 1) * static_cast<double>(n_messages) * link.latency_seconds;
}

double exposed_seconds(const StepCost& step, std::int64_t n_ranks, const Link& link) {
  const double all = all_reduce_seconds(step.gradient_bytes, step.n_buckets, n_ranks, link);
  const double last = all_reduce_seconds(step.gradient_bytes / static_cast<double>(step.n_buckets), 1, n_ranks, link);
  return step.copy_seconds + std::max(last, all - step.backward_share * step.compute_seconds);
}

double efficiency(const StepCost& step, std::int64_t n_ranks, const Link& link) {
  return step.compute_seconds / (step.compute_seconds + exposed_seconds(step, n_ranks, link));
}

}  // namespace melisma
