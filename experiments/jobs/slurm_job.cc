#include "experiments/jobs/slurm_job.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "experiments/jobs/job_text.h"
#include "experiments/jobs/supervisor.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path start_file(const JobFiles& files) { return files.folder / "start.json"; }

}  // namespace

std::vector<std::string> sbatch_options(const Job& job, const SlurmConfig& config) {
  std::vector<std::string> options{fmt::format("--job-name=melisma-{}", job.id), "--requeue", "--open-mode=append"};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) options.push_back(fmt::format("--{}={}", name, value));
  };
  add("partition", config.partition);
  add("account", config.account);
  const bool wants_gpu = job.request.device.starts_with("cuda");
  if (job.request.device != "cpu") add("gres", wants_gpu && config.gres.empty() ? "gpu:1" : config.gres);
  add("time", config.time);
  add("mem", config.memory);
  if (config.cpus > 0) add("cpus-per-task", fmt::to_string(config.cpus));
  // Users may step back on a cluster, not forward.
  if (job.request.priority < 0) add("nice", fmt::to_string(-job.request.priority));
  options.insert(options.end(), config.options.begin(), config.options.end());
  return options;
}

std::string slurm_script(std::span<const JobFiles> jobs, std::span<const std::string> options,
                         std::span<const std::string> program, const std::string& output) {
  std::string text = "#!/bin/sh\n";
  for (const auto& option : options) text += fmt::format("#SBATCH {}\n", option);
  text += fmt::format("#SBATCH --output=\"{}\"\n", output);
  const auto run = command_text(program) + " jobs run ";
  if (jobs.size() == 1) return text + "exec " + run + command_text({{jobs[0].folder.string()}}) + "\n";
  text += fmt::format("#SBATCH --array=0-{}\ncase $SLURM_ARRAY_TASK_ID in\n", jobs.size() - 1);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    text += fmt::format("  {}) folder={} ;;\n", i, command_text({{jobs[i].folder.string()}}));
  }
  return text + "esac\nexec " + run + "\"$folder\"\n";
}

void write_start(const JobFiles& files, const Job& job, std::int64_t start, std::span<const std::string> program,
                 double grace_seconds) {
  make_folders(files.folder, "name another --workspace");
  const Json json{{"job", job.id},
                  {"start", start},
                  {"program", std::vector<std::string>(program.begin(), program.end())},
                  {"words", job.request.words},
                  {"folder", job.request.folder.string()},
                  {"grace_seconds", grace_seconds}};
  write_file_atomically(start_file(files), json_text(json) + "\n");
}

int run_start(const JobFiles& files) {
  const auto lock = FileLock::try_take(files.lock());
  if (!lock) fail(ErrorKind::device, "the job of '{}' runs already", files.folder.string());
  Json json;
  try {
    json = Json::parse(read_file(start_file(files)));
  } catch (const nlohmann::json::exception& problem) {
    fail(ErrorKind::data, "'{}' is damaged: {}", start_file(files).string(), problem.what());
  }
  const auto start = json.at("start").get<std::int64_t>();
  if (const auto end = read_end(files, start); end.is_known && !end.was_stopped) return end.exit_code;
  const char* node = std::getenv("SLURMD_NODENAME");
  auto job =
      prepare_start(files, json.at("job").get<JobId>(), start, json.at("program").get<std::vector<std::string>>(),
                    json.at("words").get<std::vector<std::string>>(), node == nullptr ? "this machine" : node);
  job.folder = json.at("folder").get<std::string>();
  job.grace_seconds = json.at("grace_seconds").get<double>();
  job.hands_on_stop = false;
  job.locks = {&*lock};
  return supervise(job).exit_code;
}

}  // namespace melisma
