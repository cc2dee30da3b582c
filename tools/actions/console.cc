#include "tools/actions/console.h"

#include "experiments/jobs/job_files.h"
#include "experiments/jobs/job_progress.h"
#include "experiments/runs/job_note.h"
#include "tools/base/console_sink.h"

namespace melisma {

std::unique_ptr<EventHub> console_events() {
  auto hub = std::make_unique<EventHub>();
  hub->add(std::make_unique<ConsoleSink>());
  if (const auto job = own_job_folder(); !job.empty()) {
    hub->add(std::make_unique<JobProgressSink>(JobFiles(job).progress()));
  }
  return hub;
}

}  // namespace melisma
