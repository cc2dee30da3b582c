// What more ranks bring: a small model of the time gradients take, for links and rank counts that nobody has measured
// yet. `melisma bench reducer` compares it with what it measures. Torch-free.
#pragma once
#include <cstdint>
#include <string>

namespace melisma {

struct Link {
  std::string name;
  double bytes_per_second = 0;  // of one rank, each way; of all ranks together where they share it
  double latency_seconds = 0;   // of one message between neighbours
  bool is_shared = false;       // ranks of one machine over its memory
};

// What a rank does in one step.
struct StepCost {
  double compute_seconds = 0;       // forward and backward of its share of the batch
  double backward_share = 2.0 / 3;  // of that time, during which gradients appear and can be on their way
  double gradient_bytes = 0;        // of all networks
  std::int64_t n_buckets = 1;       // in which they are sent
  double copy_seconds = 0;          // gradients into buckets, beside what is sent
};

// A ring all-reduce of `bytes` in `n_messages` pieces: 2 (N - 1) / N of the bytes pass each link, in 2 (N - 1) messages
// a piece (Patarasuk and Yuan 2009).
[[nodiscard]] double all_reduce_seconds(double bytes, std::int64_t n_messages, std::int64_t n_ranks, const Link& link);

// What is added to the step's time: what does not fit beside the backward pass, and at least the last bucket; copies.
[[nodiscard]] double exposed_seconds(const StepCost& step, std::int64_t n_ranks, const Link& link);

// Work done by N ranks against N times one rank's, each with the same share: compute / (compute + exposed).
[[nodiscard]] double efficiency(const StepCost& step, std::int64_t n_ranks, const Link& link);

}  // namespace melisma
