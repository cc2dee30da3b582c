// `melisma sweep run|continue|show|list|report`, answered without Torch.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "experiments/jobs/local_worker.h"
#include "experiments/sweeps/leaderboard.h"
#include "experiments/sweeps/sweep_file.h"
#include "tools/base/atomic_file.h"
#include "tools/base/console_sink.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"
#include "tools/cli/commands.h"
#include "tools/cli/jobs_settings.h"
#include "tools/cli/settings_table.h"
#include "tools/config/config.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

struct SweepOptions {
  fs::path file;
  std::vector<std::string> over;
  std::map<std::string, std::string> given;  // settings of the sweep by name; empty = as the file says
  std::vector<std::string> more_set;
  bool is_untested = false;
  std::string worker;
  JobsSettings jobs;
  std::string name;
  fs::path output;
  bool json = false, is_submitting = false;
};

RecipeSettings open_recipe(const std::string& recipe) {
  const std::shared_ptr<SettingsOfTask> settings =
      find_row(kSettingsOfTasks, recipe, "recipe", ErrorKind::usage).make();
  return {settings, settings->schema()};
}

// A dataset or settings file by its full path, so that jobs find it from wherever they run.
std::string full_path(const std::string& name, const fs::path& beside) {
  if (name.empty()) return name;
  for (const auto& path : {fs::path(name), beside / name}) {
    if (fs::is_regular_file(path)) return fs::absolute(path).lexically_normal().string();
  }
  return name;
}

SweepPlan planned(const SweepOptions& options, std::string& base) {
  std::vector<std::string> overrides;
  for (const auto& [name, value] : options.given) {
    if (!value.empty()) overrides.push_back(fmt::format("sweep.{}={}", name, value));
  }
  if (options.is_untested) overrides.emplace_back("sweep.test=false");
  auto [config, keys] = read_sweep_file(options.file, overrides);
  config.set.insert(config.set.end(), options.more_set.begin(), options.more_set.end());
  for (const auto& text : options.over) keys.push_back(parse_search_key(text));
  const auto beside = options.file.parent_path();
  config.dataset = full_path(config.dataset, beside);
  config.config = full_path(config.config, beside);
  if (!config.config.empty()) base = read_file(config.config);
  return plan_sweep(config, std::move(keys), base, open_recipe);
}

void say_progress(EventSink& console, const Sweep& sweep, const JobQueue& queue) {
  const auto count = sweep.count(queue);
  console.receive(ProgressEvent{"sweep " + sweep.plan().config.name,
                                static_cast<double>(count.done),
                                static_cast<double>(count.all),
                                "jobs",
                                {}});
}

fs::path write_page(const Sweep& sweep, const JobQueue& queue, const fs::path& workspace, const fs::path& output) {
  const auto page = output.empty() ? sweep.folder() / "leaderboard.html" : output;
  write_file_atomically(page, leaderboard_html(leaderboard_of(sweep, queue), workspace));
  return page;
}

// Queues what comes next until nothing does, working the queue off meanwhile if a device is named.
int drive(const GlobalOptions& global, const SweepOptions& options, const Sweep& sweep) {
  const auto engine_told = engine_options(global, options.jobs);
  const auto& config = engine_told.config;
  JobQueue queue(global.workspace);
  const auto engine = make_job_engine(config.engine, queue, engine_told);
  const JobsWish wish{config.retries, config.backoff.amount};
  ConsoleSink console;
  install_stop_handlers();
  while (true) {
    engine->watch();
    const auto state = sweep.advance(queue, *engine, wish);
    if (state == SweepState::finished) break;
    if (options.is_submitting) {
      fmt::print("sweep {}: what comes first is queued; melisma sweep continue {} goes on when it is done\n",
                 sweep.plan().config.name, sweep.plan().config.name);
      return 0;
    }
    if (!options.worker.empty() && queue.has_work_for(options.worker)) {
      work({.workspace = global.workspace,
            .device = options.worker,
            .program = program_for_jobs(global),
            .until_empty = true,
            .grace_seconds = config.grace.amount},
           console);
    } else {
      say_progress(console, sweep, queue);
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
    if (const int signal = stop_requested(); signal != 0) {
      throw Error::interrupted(signal, fmt::format("the sweep's jobs go on; melisma sweep continue {} goes on with it",
                                                   sweep.plan().config.name));
    }
  }
  const auto page = write_page(sweep, queue, global.workspace, options.output);
  const auto board = leaderboard_of(sweep, queue);
  if (options.json) {
    fmt::print("{}\n", json_text(to_json(board)));
  } else {
    fmt::print("{}\n{}\n", to_table(board), page.string());
  }
  return board.winner ? 0 : Error(ErrorKind::data, "").exit_code();
}

void define_run(CLI::App& app, SweepOptions& options) {
  app.add_option("file", options.file, "TOML file with [sweep] and [over]; options win");
  app.add_option("--over", options.over,
                 "what varies: key=value,value,... or key=LOW..HIGH or key=LOW..HIGH:log; as often as needed")
      ->allow_extra_args(false);
  SweepSettings settings;
  for (const auto& setting : schema_of(settings)) {
    const auto name = setting.path.substr(setting.path.find('.') + 1);
    if (name == "set" || name == "test") continue;
    auto option = name;
    std::ranges::replace(option, '_', '-');
    app.add_option("--" + option, options.given[name], setting.help);
  }
  app.add_option("--set", options.more_set, "one more setting that all trials share, key=value")
      ->allow_extra_args(false);
  app.add_flag("--no-test", options.is_untested, "nothing is scored on the test split in the end");
}

void define_driving(CLI::App& app, SweepOptions& options) {
  app.add_option("--worker", options.worker, "work the queue off meanwhile, on this device: cpu, cuda:0, ...");
  app.add_flag("--submit", options.is_submitting, "queue what comes next and leave");
  app.add_option("--jobs-config", options.jobs.config, "TOML file with settings of jobs");
  app.add_option("--jobs-set", options.jobs.set, "one setting of jobs, name=value")->allow_extra_args(false);
}

}  // namespace

std::function<int()> define_sweep(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<SweepOptions>();
  app.require_subcommand(1);
  auto* runner = app.add_subcommand("run", "starts a sweep, or goes on with the same one, to its leaderboard");
  auto* continuer = app.add_subcommand("continue", "goes on with a sweep that was left");
  auto* shower = app.add_subcommand("show", "how a sweep stands");
  auto* reporter = app.add_subcommand("report", "a sweep's leaderboard as one self-contained page");
  auto* lister = app.add_subcommand("list", "the sweeps of the workspace");
  define_run(*runner, *options);
  for (auto* sub : {runner, continuer}) define_driving(*sub, *options);
  for (auto* sub : {continuer, shower, reporter}) sub->add_option("name", options->name, "the sweep")->required();
  for (auto* sub : {runner, continuer, shower, lister}) sub->add_flag("--json", options->json, "print JSON");
  for (auto* sub : {runner, continuer, reporter}) {
    sub->add_option("-o,--output", options->output, "the page; default: leaderboard.html in the sweep's folder");
  }
  return [=, &global] {
    if (runner->parsed()) {
      std::string base;
      const auto plan = planned(*options, base);
      return drive(global, *options, Sweep::start(global.workspace, plan, base));
    }
    if (lister->parsed()) {
      const auto names = Sweep::list(global.workspace);
      if (options->json) {
        fmt::print("{}\n", nlohmann::ordered_json(names).dump());
      } else if (names.empty()) {
        fmt::print("no sweeps in '{}' yet; melisma sweep run makes one\n", global.workspace.string());
      }
      for (std::size_t i = 0; i < names.size() && !options->json; ++i) fmt::print("{}\n", names[i]);
      return 0;
    }
    const auto sweep = Sweep::open(global.workspace, options->name, open_recipe);
    if (continuer->parsed()) return drive(global, *options, sweep);
    const JobQueue queue(global.workspace);
    if (reporter->parsed()) {
      fmt::print("{}\n", write_page(sweep, queue, global.workspace, options->output).string());
    } else if (options->json) {
      fmt::print("{}\n", json_text(to_json(leaderboard_of(sweep, queue))));
    } else {
      fmt::print("{}", to_table(leaderboard_of(sweep, queue)));
    }
    return 0;
  };
}

}  // namespace melisma
