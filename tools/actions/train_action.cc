#include "tools/actions/train_action.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "experiments/runs/held_out_caveat.h"
#include "experiments/runs/job_note.h"
#include "experiments/runs/run.h"
#include "tools/actions/console.h"
#include "tools/actions/dataset_source.h"
#include "tools/actions/run_manifest.h"
#include "tools/actions/run_status_sink.h"
#include "tools/actions/train_header.h"
#include "tools/actions/train_preflight.h"
#include "tools/actions/train_ranks.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/metrics_file.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"
#include "tools/base/tensorboard_sink.h"
#include "tools/config/config.h"
#include "train/tasks/recipe.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

// A recipe with its settings, dataset and networks, and the run folder it trains into.
struct Session {
  std::unique_ptr<Recipe> recipe;
  std::shared_ptr<const Dataset> dataset;
  ComposedTask composed;
  std::optional<Run> run;  // a new one is made when the ranks have met, and by rank 0 alone
};

RecipeInputs inputs_for(const RankPlace& place, std::shared_ptr<const Dataset> dataset, std::optional<fs::path> from) {
  return {.dataset = std::move(dataset),
          .from = std::move(from),
          .shard = {place.rank, place.size},
          .local_rank = place.local_rank,
          .local_size = place.local_size};
}

// Whatever can be wrong with a new run is found here, before anything is made.
Session compose_run(const TrainOptions& options, const RecipeRow& row, const RankPlace& place) {
  if (options.dataset.empty())
    fail(ErrorKind::usage, "--dataset is needed to start a run (or --resume to go on with one)");
  Session session;
  session.recipe = row.make();
  auto schema = session.recipe->schema();
  configure(schema, options.config.empty() ? std::nullopt : std::optional<fs::path>(options.config), options.set);
  if (options.epochs > 0) session.recipe->set_epochs(options.epochs);
  const auto path = dataset_path(options.workspace, options.dataset);
  session.dataset = std::make_shared<const Dataset>(Dataset::open(path, row.dataset));
  check_splits(*session.dataset);
  session.composed = session.recipe->compose(
      inputs_for(place, session.dataset, options.from.empty() ? std::nullopt : std::optional<fs::path>(options.from)));
  check_free_disk(options.workspace, *session.composed.task, session.composed.plan);
  return session;
}

Run create_run(const TrainOptions& options, const RecipeRow& row, const Session& session) {
  auto manifest = run_manifest({.recipe = options.recipe,
                                .version = options.version,
                                .commit = options.commit,
                                .seed = session.composed.plan.trainer.seed},
                               *session.dataset);
  std::string weights;
  if (!options.from.empty()) {
    weights = sha256_of_file(options.from);
    manifest["from"] = {{"path", fs::absolute(options.from).string()},
                        {"sha256", weights},
                        {"held_out_caveat", caveat_of_base(options.from, session.dataset->content_hash())}};
  }
  const auto name = options.name.empty() ? session.dataset->path().stem().string() : options.name;
  return Run::create(options.workspace, name, run_signature(row, *session.recipe, *session.dataset, weights),
                     to_toml(session.recipe->schema()), manifest);
}

Run run_to_resume(const TrainOptions& options) {
  if (!options.resume_run.empty()) return Run::open(options.workspace, options.resume_run);
  if (!options.name.empty()) return Run::open(options.workspace, options.name);
  if (!options.dataset.empty()) return Run::open(options.workspace, fs::path(options.dataset).stem().string());
  for (auto& run : Run::list(options.workspace)) {
    if (run.manifest().value("recipe", "") == options.recipe) return run;
  }
  fail(ErrorKind::usage, "there is no {} run to resume in '{}'", options.recipe, options.workspace.string());
}

// A resumed run keeps the settings it was started with: only its length and what merely shows or stores may change.
void check_overrides(const Schema& before, const Schema& after) {
  const auto changed = differences(before, after);
  for (const auto& difference : changed) {
    const auto setting =
        std::find_if(before.begin(), before.end(), [&](const Setting& s) { return s.path == difference.path; });
    if (difference.path == "trainer.epochs" || !setting->affects_result) continue;
    fail(ErrorKind::config,
         "a resumed run keeps its settings: {} is {} in the run and cannot become {}; start another run with --name",
         difference.path, difference.left, difference.right);
  }
}

std::shared_ptr<const Dataset> dataset_of_run(const TrainOptions& options, const RecipeRow& row, const Json& manifest) {
  const auto& noted = manifest.at("dataset");
  const auto path = options.dataset.empty() ? fs::path(noted.at("path").get<std::string>())
                                            : dataset_path(options.workspace, options.dataset);
  if (!fs::exists(path)) {
    fail(ErrorKind::data, "the run's dataset '{}' is gone; if it was moved, name it with --dataset", path.string());
  }
  auto dataset = std::make_shared<const Dataset>(Dataset::open(path, row.dataset));
  if (const auto expected = noted.at("content_hash").get<std::string>(); dataset->content_hash() != expected) {
    fail(ErrorKind::data,
         "'{}' is not the dataset the run was trained on: expected content {}, found {}; start another run with --name",
         path.string(), expected, dataset->content_hash());
  }
  return dataset;
}

Session reopen_run(const TrainOptions& options, const RecipeRow& row, const RankPlace& place) {
  if (!options.config.empty() || !options.from.empty()) {
    fail(ErrorKind::usage, "--resume takes settings and weights from the run; leave out --{}",
         options.config.empty() ? "from" : "config");
  }
  Session session;
  session.run = run_to_resume(options);
  note_run_of_job(session.run->folder());
  const auto manifest = session.run->manifest();
  if (const auto recipe = manifest.value("recipe", ""); recipe != options.recipe) {
    fail(ErrorKind::usage, "run '{}' is of recipe {}; resume it with: melisma train {} --resume {}", session.run->id(),
         recipe, recipe, session.run->id());
  }
  const auto source = (session.run->folder() / "config.toml").string();
  const auto original = row.make();
  auto before = original->schema();
  configure_from_text(before, session.run->config_toml(), source);
  session.recipe = row.make();
  auto schema = session.recipe->schema();
  configure_from_text(schema, session.run->config_toml(), source, options.set);
  if (options.epochs > 0) session.recipe->set_epochs(options.epochs);
  check_overrides(before, schema);
  session.dataset = dataset_of_run(options, row, manifest);
  check_splits(*session.dataset);
  std::optional<fs::path> from;  // needed again only if the run was ended before its first checkpoint
  if (!manifest.at("from").is_null() && list_checkpoints(session.run->checkpoints()).empty()) {
    from = manifest["from"]["path"].get<std::string>();
  }
  session.composed = session.recipe->compose(inputs_for(place, session.dataset, from));
  check_free_disk(session.run->folder(), *session.composed.task, session.composed.plan);
  return session;
}

void say_outcome(EventSink& events, const Session& session, const TrainingOutcome& outcome) {
  const auto id = session.run->id();
  const auto metric = session.composed.plan.overtraining.metric;
  say(events, fmt::format("{} epochs are trained, {} of them now: {}", outcome.epochs_done, outcome.epochs_trained_here,
                          outcome.is_overtrained ? "overtrained" : "finished"));
  if (outcome.best && outcome.best_checkpoint) {
    say(events, fmt::format("best epoch {}: {} {:.5g}, in '{}'", outcome.best->epoch, metric, outcome.best->score,
                            outcome.best_checkpoint->folder.string()));
  }
  if (session.dataset->kind() == DatasetKind::multitrack) {
    say(events, fmt::format("next: melisma mix STEMS... --model {} -o OUT.wav    (hear it)", id));
    return;
  }
  const bool is_unheard = held_out_caveat(session.run->manifest()).empty();
  say(events,
      fmt::format("next: melisma evaluate {} --dataset '{}'   (numbers on {})", id, session.dataset->path().string(),
                  is_unheard ? "recordings it never heard" : "recordings held out here"));
  say(events, fmt::format("      melisma convert {} INPUT -o OUT.wav    (hear it)", id));
  say(events, fmt::format("      melisma extract {} --epoch best        (the voice as a file)", id));
}

std::string state_for(const Error& error) {
  if (error.kind() == ErrorKind::diverged) return "diverged";
  return error.kind() == ErrorKind::interrupted ? "interrupted" : "failed";
}

// The run's last words; a disk that is full does not hide why it ended.
void end_run(RunStatusSink& status, const std::string& state, const std::string& reason) {
  try {
    status.end(state, reason);
  } catch (const Error&) {
    // status.json stays as it was: whose process is gone reads as interrupted
  }
}

// What all ranks must have alike, a line each.
std::string settings_text(const TrainOptions& options, const Session& session) {
  auto text =
      fmt::format("program {} ({})\ndataset {}\n", options.version, options.commit, session.dataset->content_hash());
  for (const auto& setting : session.recipe->schema()) {
    if (setting.affects_result) text += fmt::format("{} = {}\n", setting.path, setting.get().dump());
  }
  return text;
}

// What is known once the ranks have met.
struct Team {
  std::unique_ptr<ProcessRanks> processes;  // null for a training of one process
  [[nodiscard]] Ranks& ranks() const { return processes ? *processes : one_rank(); }
  // A rank that ends for a reason of its own tells the others.
  template <class Action>
  auto run(Action&& action) const {
    try {
      const auto result = std::forward<Action>(action)();
      if (processes) processes->leave();
      return result;
    } catch (const std::exception& problem) {
      if (processes) processes->say_why(problem);
      throw;
    }
  }
};

// Events reach the console at once; the run's own files join when their places are known.
int train_first(Session& session, EventHub& events, Trainer& trainer, bool is_continued) {
  const auto& run = *session.run;
  const auto& plan = session.composed.plan;
  auto status_sink = std::make_unique<RunStatusSink>(run, plan.overtraining.metric);
  auto& status = *status_sink;
  if (const auto best = trainer.best()) status.set_best(best->epoch, best->score);
  events.add(std::move(status_sink));
  try {
    events.add(std::make_unique<MetricsFileSink>(run.metrics(), trainer.state().step));
    events.add(std::make_unique<TensorBoardSink>(run.folder(), trainer.state().step));
    say_header(events, {.run = run,
                        .dataset = *session.dataset,
                        .plan = plan,
                        .facts = session.composed.facts,
                        .loader = *session.composed.loader,
                        .state = trainer.state(),
                        .is_continued = is_continued});
    const auto outcome = trainer.run();
    if (outcome.best) status.set_best(outcome.best->epoch, outcome.best->score);
    status.end(outcome.is_overtrained ? "overtrained" : "finished", outcome.reason);
    say_outcome(events, session, outcome);
    return 0;
  } catch (const Error& error) {
    end_run(status, state_for(error), error.message());
    throw;
  } catch (const std::exception& error) {
    end_run(status, "failed", error.what());
    throw;
  }
}

int train_session(const TrainOptions& options, const RecipeRow& row, Session& session, EventHub& events, Ranks& ranks) {
  if (ranks.is_first() && !session.run) session.run = create_run(options, row, session);
  auto& plan = session.composed.plan;
  plan.checkpoint_folder = ranks.text_of_first(session.run ? session.run->checkpoints().string() : "");
  plan.run = ranks.text_of_first(session.run ? session.run->id() : "");
  return with_context(fmt::format("training run {}", plan.run), [&] {
    Trainer trainer(*session.composed.task, *session.composed.loader, plan, events, ranks);
    const bool is_continued = ranks.largest(options.is_resume && !trainer.checkpoints().empty() ? 1 : 0) != 0;
    if (is_continued) trainer.resume(options.resume_epoch);
    if (ranks.is_first()) return train_first(session, events, trainer, is_continued);
    (void)trainer.run();
    return 0;
  });
}

Session open_session(const TrainOptions& options, const RecipeRow& row, const RankPlace& place) {
  auto session = options.is_resume ? reopen_run(options, row, place) : compose_run(options, row, place);
  if (!options.interface.empty()) session.composed.distributed.interface = options.interface;
  return session;
}

}  // namespace

int train(const TrainOptions& options) {
  const auto& row = find_row(kTasks, options.recipe, "recipe", ErrorKind::usage);
  const auto place = own_place(options.processes);
  if (!place && options.processes > 1) {
    // What is wrong with settings, data or weights is said here, once, before any rank starts.
    const auto config = open_session(options, row, {.local_size = options.processes}).composed.distributed;
    install_stop_handlers();
    return start_ranks(options.processes, config);
  }
  const auto events = place && place->rank > 0 ? std::make_unique<EventHub>() : console_events();
  auto session = open_session(options, row, place.value_or(RankPlace{}));
  install_stop_handlers();
  Team team;
  if (place) {
    team.processes =
        meet_ranks(*place, session.composed.distributed, session.composed.plan.device, settings_text(options, session));
    session.composed.facts.emplace_back("ranks", fmt::format("{}, which share every batch", place->size));
  }
  return team.run([&] { return train_session(options, row, session, *events, team.ranks()); });
}

}  // namespace melisma
