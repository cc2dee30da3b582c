// `melisma bench jobs`: the queue with ten thousand jobs in it.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "experiments/jobs/job_queue.h"
#include "tools/base/error.h"
#include "tools/base/program.h"
#include "tools/base/scratch_folder.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/peer.h"

namespace melisma {
namespace jobs_bench {
namespace {
namespace fs = std::filesystem;

constexpr int kJobs = 10000, kQuickJobs = 1000, kRepeats = 5;

// Of the quickest of several times.
template <class Action>
double quickest_ms(int repeats, Action&& action) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeats; ++i) {
    const double begin = wall_seconds();
    action();
    best = std::min(best, 1000 * (wall_seconds() - begin));
  }
  return best;
}

}  // namespace
}  // namespace jobs_bench

BenchmarkReport bench_jobs(const BenchmarkOptions& options) {
  using namespace jobs_bench;
  const int n_jobs = options.quick ? kQuickJobs : kJobs;
  const int repeats = options.repeats > 0 ? options.repeats : kRepeats;
  const ScratchFolder scratch;
  const auto workspace = scratch / "workspace";
  JobQueue queue(workspace);
  std::vector<JobRequest> requests(static_cast<std::size_t>(n_jobs), {.words = {"train", "rvc", "--dataset", "mara",
                                                                                "--set", "generator_optimizer.lr=1e-4"},
                                                                      .folder = fs::current_path(),
                                                                      .name = "train rvc --dataset mara"});
  for (std::size_t i = 1; i < requests.size(); i += 2) requests[i].after = {-static_cast<JobId>(i)};
  const double submit_ms = quickest_ms(1, [&] { (void)queue.submit("local", requests); });

  const std::vector<std::string> words{fs::read_symlink("/proc/self/exe").string(), "--workspace", workspace.string(),
                                       "jobs", "list"};
  double program_ms = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeats; ++i) {
    const auto cost = run_to_end(words, scratch / "list.txt");
    if (cost.exit_code != 0) fail(ErrorKind::internal, "melisma jobs list ended with exit code {}", cost.exit_code);
    program_ms = std::min(program_ms, 1000 * cost.wall_seconds);
  }
  const double read_ms = quickest_ms(repeats, [&] { (void)queue.list(); });
  const double claim_ms = quickest_ms(repeats, [&] {
    const auto claimed = queue.claim("cpu");
    queue.end(claimed->job, {.is_known = true, .exit_code = 0});
  });
  return {.setting = {fmt::format("{} queued jobs, every other one after the one before it; the quickest of {}", n_jobs,
                                  repeats)},
          .figures = {{"melisma jobs list, the whole program", "ms", program_ms, 0, 100},
                      {"reading the queue", "ms", read_ms},
                      {"taking a job and ending it", "ms", claim_ms},
                      {"submitting all at once", "ms", submit_ms}}};
}

}  // namespace melisma
