// How far a job is: written by the process that does it, read by whoever asks.
#pragma once
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "tools/base/event.h"
#include "tools/base/rate.h"

namespace melisma {

struct JobProgress {
  std::string task;                    // "epoch 3/20", "making features"
  std::optional<double> fraction;      // of all that is to be done, as far as is known
  std::optional<double> seconds_left;  // at the rate of the last minutes
  double updated = 0;                  // seconds since 1970
};

// Keeps a job's progress.json from the events of its work, written every other second at most. Where a file cannot be
// written the work goes on without.
class JobProgressSink final : public EventSink {
 public:
  explicit JobProgressSink(std::filesystem::path path);
  void receive(const Event& event) override;

 private:
  std::filesystem::path path_;
  RateEstimator rate_{300};
  std::string stage_;  // what the fraction is of
  std::optional<std::chrono::steady_clock::time_point> written_;
};

// Nothing if the job has told nothing yet.
[[nodiscard]] std::optional<JobProgress> read_progress(const std::filesystem::path& path);

}  // namespace melisma
