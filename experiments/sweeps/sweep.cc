#include "experiments/sweeps/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/metrics_file.h"
#include "tools/base/table.h"
#include "tools/config/config.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {
using Json = nlohmann::ordered_json;

constexpr const char* kPlanFile = "plan.json";
constexpr const char* kBaseFile = "base.toml";

Json plan_json(const SweepPlan& plan) {
  auto config = plan.config;
  auto over = Json::array();
  for (const auto& key : plan.keys) over.push_back(text_of(key));
  return {{"config", to_json(schema_of(config))}, {"over", std::move(over)}};
}

// The lowest held-out score of a run up to and including an epoch; NaN if it has none.
double best_score_until(const Run& run, const std::string& metric, std::int64_t epochs) {
  double best = std::numeric_limits<double>::quiet_NaN();
  for (const auto& line : read_metrics_file(run.metrics())) {
    if (line.kind != "scalars" || line.phase != "validation" || line.epoch > epochs) continue;
    for (const auto& [tag, value] : line.values) {
      if (tag == "validation/" + metric && std::isfinite(value) && !(value >= best)) best = value;
    }
  }
  return best;
}

std::optional<Run> run_at(const fs::path& workspace, const JobFiles& files) {
  const auto folder = run_of(files);
  if (!folder) return std::nullopt;
  return Run::open(workspace, folder->string());
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(values.size());
}

std::optional<HeldOutScore> read_test(const fs::path& file, const std::string& metric) {
  if (!fs::exists(file)) return std::nullopt;
  try {
    const auto json = Json::parse(read_file(file));
    const auto& score = json.at("candidates").at(0).at("metrics").at(metric);
    const auto number = [&](const char* key) {
      return score.contains(key) && score[key].is_number() ? score[key].get<double>()
                                                           : std::numeric_limits<double>::quiet_NaN();
    };
    return HeldOutScore{number("mean"), number("low"), number("high")};
  } catch (const nlohmann::json::exception& problem) {
    fail(ErrorKind::data, "'{}' is no evaluation with {}: {}", file.string(), metric, problem.what());
  }
}

}  // namespace

double TrialStanding::mean() const { return mean_of(scores); }

// The sweep's jobs by name: the last one of each, with the run that it trains.
struct Sweep::Known {
  struct Entry {
    Job job;
    std::optional<Run> run;
  };
  std::map<std::string, Entry> jobs;
  [[nodiscard]] const Entry* find(const std::string& name) const {
    const auto found = jobs.find(name);
    return found == jobs.end() ? nullptr : &found->second;
  }
};

Sweep::Sweep(const fs::path& workspace, SweepPlan plan)
    : folder_(fs::absolute(workspace / "sweeps" / plan.config.name).lexically_normal()), plan_(std::move(plan)) {}

Sweep Sweep::start(const fs::path& workspace, const SweepPlan& plan, const std::string& base) {
  Sweep sweep(workspace, plan);
  const auto json = plan_json(plan);
  if (fs::exists(sweep.folder_ / kPlanFile)) {
    const auto written = Json::parse(read_file(sweep.folder_ / kPlanFile), nullptr, false);
    if (written == json && read_file(sweep.folder_ / kBaseFile) == base) return sweep;
    fail(ErrorKind::usage,
         "sweep '{0}' is there already with other settings (see '{1}'); go on with it: melisma sweep continue {0}, or "
         "choose another --name",
         plan.config.name, (sweep.folder_ / kPlanFile).string());
  }
  make_folders(sweep.folder_.parent_path(), "name another --workspace");
  write_folder_atomically(sweep.folder_, [&](const fs::path& temporary) {
    write_file_atomically(temporary / kBaseFile, base);
    write_file_atomically(temporary / kPlanFile, json_text(json) + "\n");
  });
  return sweep;
}

Sweep Sweep::open(const fs::path& workspace, const std::string& name, const OpenRecipe& recipes) {
  const auto known = list(workspace);
  if (std::ranges::find(known, name) == known.end()) {
    if (known.empty()) {
      fail(ErrorKind::usage, "there are no sweeps in '{}' yet; melisma sweep run makes one", workspace.string());
    }
    throw Error(ErrorKind::usage, unknown_name_message("sweep", name, known));
  }
  const auto folder = workspace / "sweeps" / name;
  const auto file = (folder / kPlanFile).string();
  SweepConfig config;
  std::vector<SearchKey> keys;
  try {
    const auto json = Json::parse(read_file(folder / kPlanFile));
    auto schema = schema_of(config);
    from_json(schema, json.at("config"), file);
    for (const auto& text : json.at("over")) keys.push_back(parse_search_key(text.get<std::string>()));
  } catch (const nlohmann::json::exception& problem) {
    fail(ErrorKind::data, "'{}' is damaged: {}", file, problem.what());
  }
  return {workspace, plan_sweep(config, std::move(keys), read_file(folder / kBaseFile), recipes)};
}

std::vector<std::string> Sweep::list(const fs::path& workspace) {
  std::vector<std::string> names;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(workspace / "sweeps", absent)) {
    if (fs::exists(entry.path() / kPlanFile)) names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

Sweep::Known Sweep::look(const JobQueue& queue) const {
  Known known;
  for (auto& job : queue.list({.group = group()})) {
    auto run = run_at(queue.workspace(), queue.files(job.id));
    const auto name = job.request.name;
    known.jobs.insert_or_assign(name, Known::Entry{std::move(job), std::move(run)});
  }
  return known;
}

std::string Sweep::job_name(const SweepTrial& trial, std::int64_t seed, std::int64_t rung) const {
  auto name = fmt::format("{} {}", plan_.config.name, trial.name);
  if (plan_.config.seeds > 1) name += fmt::format(" seed {}", seed + 1);
  if (plan_.rungs.size() > 1) name += fmt::format(" rung {}", rung + 1);
  return name;
}

std::string Sweep::test_name(const SweepTrial& trial) const {
  return fmt::format("{} {} test", plan_.config.name, trial.name);
}

fs::path Sweep::test_file(const SweepTrial& trial) const { return folder_ / fmt::format("test-{}.json", trial.name); }

JobRequest Sweep::request(std::string name, std::vector<std::string> words, const JobsWish& wish) const {
  return {.words = std::move(words),
          .folder = folder_,
          .name = std::move(name),
          .group = group(),
          .device = plan_.config.device,
          .priority = plan_.config.priority,
          .retries = wish.retries,
          .backoff_seconds = wish.backoff_seconds};
}

std::vector<std::string> Sweep::first_words(const SweepTrial& trial, std::int64_t seed, std::int64_t epochs) const {
  const auto& config = plan_.config;
  auto run = fmt::format("{}-{}", config.name, trial.name);
  if (config.seeds > 1) run += fmt::format("-s{}", seed + 1);
  std::vector<std::string> words{
      "train", config.recipe, "--dataset", config.dataset, "--config", (folder_ / kBaseFile).string(), "--name", run};
  for (const auto* settings : {&config.set, &trial.settings}) {
    for (const auto& setting : *settings) words.insert(words.end(), {"--set", setting});
  }
  if (config.seeds > 1) {
    words.insert(words.end(),
                 {"--set", fmt::format("trainer.seed={}", plan_.first_seed + static_cast<std::uint64_t>(seed))});
  }
  words.insert(words.end(), {"--epochs", fmt::to_string(epochs)});
  return words;
}

// The baseline trains at once for as long as whoever comes to the last rung, and is never dropped.
std::int64_t Sweep::n_rungs_of(const SweepTrial& trial) const {
  return trial.name == plan_.baseline.name ? 1 : std::ssize(plan_.rungs);
}

std::int64_t Sweep::epochs_at(const SweepTrial& trial, std::int64_t rung) const {
  const bool is_last = rung + 1 == n_rungs_of(trial);
  return is_last ? plan_.rungs.back().epochs : plan_.rungs[static_cast<std::size_t>(rung)].epochs;
}

// Whether no seed of the trial is queued or running on the rung.
bool Sweep::is_settled(const Known& known, const SweepTrial& trial, std::int64_t rung) const {
  for (std::int64_t seed = 0; seed < plan_.config.seeds; ++seed) {
    const auto* entry = known.find(job_name(trial, seed, rung));
    if (entry == nullptr || !is_final(entry->job.state)) return false;
  }
  return true;
}

// One a seed; empty unless all seeds are done and have a score.
std::vector<double> Sweep::scores(const Known& known, const SweepTrial& trial, std::int64_t rung) const {
  std::vector<double> scores;
  for (std::int64_t seed = 0; seed < plan_.config.seeds; ++seed) {
    const auto* entry = known.find(job_name(trial, seed, rung));
    if (entry == nullptr || entry->job.state != JobState::done || !entry->run) return {};
    scores.push_back(best_score_until(*entry->run, plan_.metric, epochs_at(trial, rung)));
    if (!std::isfinite(scores.back())) return {};
  }
  return scores;
}

// As many of the best as the next rung takes; after the last one, all that have a score. The best first.
std::vector<SweepTrial> Sweep::survivors(const Known& known, const std::vector<SweepTrial>& trials,
                                         std::int64_t rung) const {
  std::vector<std::pair<double, SweepTrial>> scored;
  for (const auto& trial : trials) {
    const auto of_seeds = scores(known, trial, rung);
    if (!of_seeds.empty()) scored.emplace_back(mean_of(of_seeds), trial);
  }
  std::ranges::stable_sort(scored, {}, [](const auto& one) { return one.first; });
  const auto next = static_cast<std::size_t>(rung + 1);
  if (next < plan_.rungs.size()) {
    scored.resize(std::min(scored.size(), static_cast<std::size_t>(plan_.rungs[next].n_trials)));
  }
  std::vector<SweepTrial> kept;
  for (auto& [score, trial] : scored) kept.push_back(std::move(trial));
  return kept;
}

// Adds the jobs of the trial on the rung that are not known yet.
void Sweep::want_rung(const Known& known, const SweepTrial& trial, std::int64_t rung, const JobsWish& wish,
                      std::vector<JobRequest>& wanted) const {
  const auto epochs = epochs_at(trial, rung);
  for (std::int64_t seed = 0; seed < plan_.config.seeds; ++seed) {
    const auto name = job_name(trial, seed, rung);
    if (known.find(name) != nullptr) continue;
    auto words = first_words(trial, seed, epochs);
    if (rung > 0) {
      const auto* before = known.find(job_name(trial, seed, rung - 1));
      words = {"train",    plan_.config.recipe,   "--resume", before->run->folder().string(),
               "--epochs", fmt::to_string(epochs)};
    }
    wanted.push_back(request(name, std::move(words), wish));
  }
}

// The first seed's run is scored: which seed came out best was selected on, too.
void Sweep::want_test(const Known& known, const SweepTrial& trial, const JobsWish& wish,
                      std::vector<JobRequest>& wanted) const {
  const auto* trained = known.find(job_name(trial, 0, n_rungs_of(trial) - 1));
  if (trained == nullptr || trained->job.state != JobState::done || !trained->run) return;
  if (known.find(test_name(trial)) != nullptr) return;
  wanted.push_back(request(test_name(trial),
                           {"evaluate", trained->run->folder().string(), "--dataset", plan_.config.dataset, "--split",
                            "test", "--epoch", "best", "-o", test_file(trial).string()},
                           wish));
}

SweepState Sweep::advance(JobQueue& queue, JobEngine& engine, const JobsWish& wish) const {
  const auto known = look(queue);
  std::vector<JobRequest> wanted;
  want_rung(known, plan_.baseline, 0, wish, wanted);
  auto trials = plan_.trials;
  bool is_trained = true;
  for (std::int64_t rung = 0; rung < std::ssize(plan_.rungs) && is_trained; ++rung) {
    for (const auto& trial : trials) {
      want_rung(known, trial, rung, wish, wanted);
      is_trained &= is_settled(known, trial, rung);
    }
    if (is_trained) trials = survivors(known, trials, rung);
  }
  is_trained &= is_settled(known, plan_.baseline, 0);
  if (is_trained && plan_.config.test) {
    if (!trials.empty()) want_test(known, trials.front(), wish, wanted);
    want_test(known, plan_.baseline, wish, wanted);
  }
  if (!wanted.empty()) {
    (void)engine.submit(wanted);
    return SweepState::submitted;
  }
  const bool is_working =
      std::ranges::any_of(known.jobs, [](const auto& entry) { return !is_final(entry.second.job.state); });
  return is_working || !is_trained ? SweepState::working : SweepState::finished;
}

std::optional<SweepTrial> Sweep::winner(const JobQueue& queue) const {
  const auto known = look(queue);
  auto trials = plan_.trials;
  for (std::int64_t rung = 0; rung < std::ssize(plan_.rungs); ++rung) {
    const bool is_settled_for_all =
        std::ranges::all_of(trials, [&](const auto& trial) { return is_settled(known, trial, rung); });
    if (!is_settled_for_all) return std::nullopt;
    trials = survivors(known, trials, rung);
  }
  if (trials.empty()) return std::nullopt;
  return trials.front();
}

std::vector<TrialStanding> Sweep::standing(const JobQueue& queue) const {
  const auto known = look(queue);
  auto all = plan_.trials;
  all.push_back(plan_.baseline);
  std::vector<TrialStanding> standings;
  for (const auto& trial : all) {
    TrialStanding standing{.trial = trial, .is_baseline = trial.name == plan_.baseline.name, .state = "waiting"};
    const auto n_rungs = n_rungs_of(trial);
    const Known::Entry* latest = nullptr;
    for (std::int64_t rung = 0; rung < n_rungs; ++rung) {
      const auto* entry = known.find(job_name(trial, 0, rung));
      if (entry == nullptr) break;
      latest = entry;
      auto of_seeds = scores(known, trial, rung);
      if (of_seeds.empty()) break;
      standing.scores = std::move(of_seeds);
      standing.rungs_done = rung + 1;
    }
    if (latest != nullptr) {
      const auto state = latest->job.state;
      standing.state = state == JobState::running ? "training" : std::string(name_of(state));
      if (state == JobState::done && standing.rungs_done < n_rungs) standing.state = "dropped";
      if (latest->run) standing.epochs = latest->run->status().epoch;
    }
    for (std::int64_t seed = 0; seed < plan_.config.seeds; ++seed) {
      const auto* entry = known.find(job_name(trial, seed, 0));
      standing.run_ids.push_back(entry != nullptr && entry->run ? entry->run->id() : "");
    }
    standing.test = read_test(test_file(trial), plan_.metric);
    standings.push_back(std::move(standing));
  }
  std::ranges::stable_sort(standings, [&](const TrialStanding& a, const TrialStanding& b) {
    const auto n_missing = [&](const TrialStanding& one) { return n_rungs_of(one.trial) - one.rungs_done; };
    if (n_missing(a) != n_missing(b)) return n_missing(a) < n_missing(b);
    return !a.scores.empty() && (b.scores.empty() || a.mean() < b.mean());
  });
  return standings;
}

Sweep::Count Sweep::count(const JobQueue& queue) const {
  Count count;
  for (const auto& [name, entry] : look(queue).jobs) {
    ++count.all;
    count.done += is_final(entry.job.state) ? 1 : 0;
  }
  return count;
}

}  // namespace melisma
