// A sweep under way: its plan in <workspace>/sweeps/<name>/, its trials as jobs of the group "sweep <name>". What is to
// be done next follows from the plan and from what the jobs and their runs say, so that it can be left and gone on with
// at any moment.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/jobs/job_engine.h"
#include "experiments/runs/run.h"
#include "experiments/sweeps/sweep_plan.h"

namespace melisma {

struct JobsWish {
  std::int64_t retries = 1;
  double backoff_seconds = 30;
};

// A mean over held-out recordings and its 95 % interval; NaN where there is none.
struct HeldOutScore {
  double mean = 0, low = 0, high = 0;
};

// One trial as far as it has come.
struct TrialStanding {
  SweepTrial trial;
  bool is_baseline = false;
  std::string state;                  // "waiting", "training", "done", "dropped", or what became of it
  std::int64_t rungs_done = 0;        // of the plan's
  std::int64_t epochs = 0;            // trained by the run that has come furthest
  std::vector<double> scores;         // best held-out score of each seed, after the last rung that all have done
  std::vector<std::string> run_ids;   // of each seed
  std::optional<HeldOutScore> test;   // of the first seed's run
  [[nodiscard]] double mean() const;  // of the scores; NaN if there is none
};

// What the sweep is to do now.
enum class SweepState {
  working,    // jobs of it are queued or running
  submitted,  // more of them have just been queued
  finished,   // nothing is left to do
};

class Sweep {
 public:
  // Writes the plan down, or finds it written. Error(usage) if a sweep of that name is there and is another one. `base`
  // is the text of the settings that all trials share.
  static Sweep start(const std::filesystem::path& workspace, const SweepPlan& plan, const std::string& base);
  // Error(usage) with did-you-mean.
  static Sweep open(const std::filesystem::path& workspace, const std::string& name, const OpenRecipe& recipes);
  [[nodiscard]] static std::vector<std::string> list(const std::filesystem::path& workspace);

  // Queues what comes next, if anything does.
  SweepState advance(JobQueue& queue, JobEngine& engine, const JobsWish& wish) const;
  // Every trial and the baseline: the best first, then by how far they came.
  [[nodiscard]] std::vector<TrialStanding> standing(const JobQueue& queue) const;
  // The best trial once all rungs are done; nothing before, or if no trial got there.
  [[nodiscard]] std::optional<SweepTrial> winner(const JobQueue& queue) const;
  // Jobs of the sweep that are done, and those that are known of by now.
  struct Count {
    std::int64_t done = 0, all = 0;
  };
  [[nodiscard]] Count count(const JobQueue& queue) const;

  [[nodiscard]] const SweepPlan& plan() const { return plan_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::string group() const { return "sweep " + plan_.config.name; }

 private:
  struct Known;  // what jobs and runs say
  Sweep(const std::filesystem::path& workspace, SweepPlan plan);
  [[nodiscard]] Known look(const JobQueue& queue) const;
  [[nodiscard]] std::string job_name(const SweepTrial& trial, std::int64_t seed, std::int64_t rung) const;
  [[nodiscard]] std::string test_name(const SweepTrial& trial) const;
  [[nodiscard]] std::filesystem::path test_file(const SweepTrial& trial) const;
  [[nodiscard]] JobRequest request(std::string name, std::vector<std::string> words, const JobsWish& wish) const;
  [[nodiscard]] std::vector<std::string> first_words(const SweepTrial& trial, std::int64_t seed,
                                                     std::int64_t epochs) const;
  [[nodiscard]] std::int64_t n_rungs_of(const SweepTrial& trial) const;
  [[nodiscard]] std::int64_t epochs_at(const SweepTrial& trial, std::int64_t rung) const;
  [[nodiscard]] bool is_settled(const Known& known, const SweepTrial& trial, std::int64_t rung) const;
  [[nodiscard]] std::vector<double> scores(const Known& known, const SweepTrial& trial, std::int64_t rung) const;
  [[nodiscard]] std::vector<SweepTrial> survivors(const Known& known, const std::vector<SweepTrial>& trials,
                                                  std::int64_t rung) const;
  void want_rung(const Known& known, const SweepTrial& trial, std::int64_t rung, const JobsWish& wish,
                 std::vector<JobRequest>& wanted) const;
  void want_test(const Known& known, const SweepTrial& trial, const JobsWish& wish,
                 std::vector<JobRequest>& wanted) const;
  std::filesystem::path folder_;
  SweepPlan plan_;
};

}  // namespace melisma
