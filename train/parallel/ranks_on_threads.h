// Ranks as threads of one process, each with connections of its own: for measurements and tests.
#pragma once
#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

#include "train/parallel/process_ranks.h"

namespace melisma {

struct RankThreads {
  std::int64_t n = 2;
  double timeout_seconds = 60;
  double bucket_mb = 25;
};

// Runs `action` as each rank, on a free port of this machine, and returns what each of them threw; null for those that
// ended well. One that throws tells the others why, as a rank of the train command does.
[[nodiscard]] std::vector<std::exception_ptr> outcomes_of_ranks(const RankThreads& threads,
                                                                const std::function<void(ProcessRanks&)>& action);

// The same for actions that end well; throws what the first one threw that did not.
void as_ranks(const RankThreads& threads, const std::function<void(ProcessRanks&)>& action);

}  // namespace melisma
