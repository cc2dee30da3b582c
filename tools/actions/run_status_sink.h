// status.json of a run, kept up to date from the events of its training.
#pragma once
#include <chrono>
#include <string>

#include "experiments/runs/run.h"
#include "tools/base/event.h"

namespace melisma {

class RunStatusSink final : public EventSink {
 public:
  // Marks the run as running in this process. `metric` is the watched one. The run must outlive this.
  RunStatusSink(const Run& run, std::string metric);
  void receive(const Event& event) override;
  // The last word: one of kRunStates and why.
  void end(std::string state, std::string reason);
  void set_best(std::int64_t epoch, double score);

 private:
  void write_now();
  const Run& run_;
  RunStatus status_;
  std::chrono::steady_clock::time_point written_;
};

}  // namespace melisma
