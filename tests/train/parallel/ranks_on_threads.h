// Ranks as threads of one process: each with a group of its own that meets the others on a free port.
#pragma once
#include <ATen/Parallel.h>

#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "train/parallel/process_ranks.h"

namespace melisma::testing {

struct RankOptions {
  double timeout_seconds = 60;
  double bucket_mb = 25;
};

// Runs `action` as each of `n` ranks and returns what each of them threw; null for those that ended well.
inline std::vector<std::exception_ptr> outcomes_of_ranks(std::int64_t n,
                                                         const std::function<void(ProcessRanks&)>& action,
                                                         const RankOptions& options = {}) {
  auto listener = std::make_unique<Listener>("127.0.0.1", std::vector<std::uint16_t>{0});
  const auto port = listener->port();
  std::vector<std::exception_ptr> outcomes(static_cast<std::size_t>(n));
  std::vector<std::thread> threads;
  for (std::int64_t rank = 0; rank < n; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        Meeting meeting{.place = {rank, n}, .address = "127.0.0.1", .port = port, .listener = nullptr};
        meeting.timeout_seconds = options.timeout_seconds;
        if (rank == 0) meeting.listener = std::move(listener);
        ProcessRanks ranks(std::make_unique<Group>(std::move(meeting)), options.bucket_mb);
        try {
          action(ranks);
          ranks.leave();
        } catch (const std::exception& problem) {
          ranks.say_why(problem);
          throw;
        }
      } catch (...) {
        outcomes[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return outcomes;
}

// The same for actions that end well; the first one that does not fails the test.
inline void as_ranks(std::int64_t n, const std::function<void(ProcessRanks&)>& action,
                     const RankOptions& options = {}) {
  for (const auto& outcome : outcomes_of_ranks(n, action, options)) {
    if (outcome) std::rethrow_exception(outcome);
  }
}

// The message of an outcome; empty for one that ended well.
inline std::string message_of(const std::exception_ptr& outcome) {
  if (!outcome) return {};
  try {
    std::rethrow_exception(outcome);
  } catch (const std::exception& problem) {
    return problem.what();
  }
}

}  // namespace melisma::testing
