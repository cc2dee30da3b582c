#include "train/parallel/ranks_on_threads.h"

#include <thread>

namespace melisma {
namespace {

void act(Meeting meeting, double bucket_mb, const std::function<void(ProcessRanks&)>& action) {
  ProcessRanks ranks(std::make_unique<Group>(std::move(meeting)), bucket_mb);
  try {
    action(ranks);
    ranks.leave();
  } catch (const std::exception& problem) {
    ranks.say_why(problem);
    throw;
  }
}

}  // namespace

std::vector<std::exception_ptr> outcomes_of_ranks(const RankThreads& threads,
                                                  const std::function<void(ProcessRanks&)>& action) {
  auto listener = std::make_unique<Listener>("127.0.0.1", std::vector<std::uint16_t>{0});
  const auto port = listener->port();
  std::vector<std::exception_ptr> outcomes(static_cast<std::size_t>(threads.n));
  std::vector<std::thread> running;
  for (std::int64_t rank = 0; rank < threads.n; ++rank) {
    Meeting meeting{.place = {rank, threads.n},
                    .address = "127.0.0.1",
                    .port = port,
                    .listener = rank == 0 ? std::move(listener) : nullptr,
                    .timeout_seconds = threads.timeout_seconds};
    running.emplace_back([&, rank, meeting = std::move(meeting)]() mutable {
      try {
        act(std::move(meeting), threads.bucket_mb, action);
      } catch (...) {
        outcomes[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (auto& thread : running) thread.join();
  return outcomes;
}

void as_ranks(const RankThreads& threads, const std::function<void(ProcessRanks&)>& action) {
  for (const auto& outcome : outcomes_of_ranks(threads, action)) {
    if (outcome) std::rethrow_exception(outcome);
  }
}

}  // namespace melisma
