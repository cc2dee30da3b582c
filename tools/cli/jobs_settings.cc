#include "tools/cli/jobs_settings.h"

#include <CLI/CLI.hpp>
#include <optional>

#include "tools/base/error.h"
#include "tools/config/config.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

void require_time(const char* name, const Duration& duration) {
  if (duration.unit == Duration::Unit::seconds || duration.is_off()) return;
  fail(ErrorKind::config, "{} is a time (\"30 s\", \"5 min\"), not {}", name, duration.text());
}

}  // namespace

void add_jobs_settings(CLI::App& app, JobsSettings& settings) {
  app.add_option("--config", settings.config, "TOML file with settings of jobs; default: jobs.toml of the workspace");
  app.add_option("--set", settings.set, "one setting of jobs, name=value (melisma config explain jobs)")
      ->allow_extra_args(false);
}

JobsConfig read_jobs_config(const fs::path& workspace, const JobsSettings& settings) {
  JobsConfig config;
  auto schema = schema_of(config);
  std::optional<fs::path> file;
  if (!settings.config.empty()) {
    file = settings.config;
  } else if (fs::exists(workspace / "jobs.toml")) {
    file = workspace / "jobs.toml";
  }
  configure(schema, file, settings.set);
  require_time("backoff", config.backoff);
  require_time("grace", config.grace);
  return config;
}

EngineOptions engine_options(const GlobalOptions& global, const JobsSettings& settings) {
  return {read_jobs_config(global.workspace, settings), program_for_jobs(global)};
}

std::vector<std::string> program_for_jobs(const GlobalOptions& global) {
  return {fs::read_symlink("/proc/self/exe").string(), "--workspace",
          fs::absolute(global.workspace).lexically_normal().string()};
}

}  // namespace melisma
