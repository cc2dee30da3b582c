// Jobs on this machine: the queue has them, workers take them (local_worker.h).
#include "experiments/jobs/job_engine.h"
#include "experiments/jobs/local_worker.h"

namespace melisma {
namespace {

class LocalEngine final : public JobEngine {
 public:
  explicit LocalEngine(JobQueue& queue) : queue_(queue) {}
  std::vector<JobId> submit(std::span<const JobRequest> requests) override { return queue_.submit("local", requests); }
  void watch() override { (void)recover_jobs(queue_); }
  void cancel(JobId id) override {
    watch();  // a job whose worker was killed would wait for the next one
    queue_.cancel(id);
  }
  void retry(JobId id) override { queue_.retry(id); }

 private:
  JobQueue& queue_;
};

}  // namespace

std::unique_ptr<JobEngine> make_local_engine(JobQueue& queue, const EngineOptions&) {
  return std::make_unique<LocalEngine>(queue);
}

}  // namespace melisma
