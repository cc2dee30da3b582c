#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "infer/features/pitch.h"
#include "tools/base/error.h"
#include "tools/base/table.h"
#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"
#include "tools/config/config.h"
#include "train/prepare/prepare_and_report.h"
#include "train/prepare/song_prepare.h"

namespace melisma {
namespace {

constexpr std::array kDatasetRatesHz{32000, 40000, 48000};

struct PrepareArguments {
  PrepareOptions options;
  std::string name;
  std::string kind = std::string(name_of(DatasetKind::voice));
  std::optional<std::filesystem::path> config_file;
  std::vector<std::string> set;
  std::string pitch, content;  // method or "none"; empty = as configured
};

// A name becomes a file name: nothing that would leave the folder.
void check_name(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name.starts_with(".")) {
    fail(ErrorKind::usage, "--name '{}' cannot name a file; use letters, digits, '-' and '_'", name);
  }
}

// A feature option: "none" switches the kind off, a method chooses it.
void add_feature_setting(const std::string& kind, const std::string& method, std::vector<std::string>& settings) {
  if (method.empty()) return;
  settings.push_back(fmt::format("with_{}={}", kind, method != "none"));
  if (method != "none") settings.push_back(fmt::format("{}.method={}", kind, method));
}

// Songs in tracks need Torch for mel spectrograms alone.
int run_songs(const PrepareArguments& arguments, const GlobalOptions& global) {
  for (const auto& [option, value] : {std::pair{"--pitch", arguments.pitch}, {"--content", arguments.content}}) {
    if (!value.empty()) fail(ErrorKind::usage, "{} is for voices; songs have no such features", option);
  }
  const auto& common = arguments.options.request;
  SongOptions options;
  auto schema = schema_of(options.request.config);
  configure(schema, arguments.config_file, arguments.set);
  options.json = arguments.options.json;
  options.request.songs = common.recordings;
  options.request.dataset = global.workspace / "datasets" / (arguments.name + ".h5");
  options.request.cache = global.workspace / "cache" / "prepare";
  options.request.split_list = common.split_list;
  options.request.tool_version = MELISMA_VERSION;
  options.request.threads = global.threads;
  options.request.force = common.force;
  if (options.request.config.with_mel) return engine(global).prepare_songs(options);
  return prepare_songs_and_report(options, {});
}

int run_prepare(PrepareArguments& arguments, const GlobalOptions& global) {
  check_name(arguments.name);
  if (arguments.kind == name_of(DatasetKind::multitrack)) return run_songs(arguments, global);
  auto& request = arguments.options.request;
  add_feature_setting("pitch", arguments.pitch, arguments.set);
  add_feature_setting("content", arguments.content, arguments.set);
  auto schema = schema_of(request.config);
  configure(schema, arguments.config_file, arguments.set);
  const auto rate = request.config.sample_rate_hz;
  if (std::find(kDatasetRatesHz.begin(), kDatasetRatesHz.end(), rate) == kDatasetRatesHz.end()) {
    fail(ErrorKind::config, "sample_rate_hz {} is no rate of a voice model; choose 32000, 40000 or 48000", rate);
  }
  request.dataset = global.workspace / "datasets" / (arguments.name + ".h5");
  request.cache = global.workspace / "cache" / "prepare";
  request.tool_version = MELISMA_VERSION;
  request.threads = global.threads;
  // Without features nothing needs Torch, whose library takes longer to open than a minute of audio to prepare.
  if (!request.config.with_pitch && !request.config.with_content) return prepare_and_report(arguments.options, {});
  return engine(global).prepare(arguments.options);
}

// An option that is short for --set KEY=VALUE.
void add_setting(CLI::App& app, const std::string& option, const std::string& key, const std::string& help,
                 PrepareArguments& arguments) {
  app.add_option_function<std::string>(
      option, [key, &arguments](const std::string& value) { arguments.set.push_back(key + "=" + value); }, help);
}

}  // namespace

std::function<int()> define_prepare(CLI::App& app, const GlobalOptions& global) {
  auto arguments = std::make_shared<PrepareArguments>();
  auto& request = arguments->options.request;
  app.add_option("recordings", request.recordings,
                 "folder of recordings, each sub-folder a speaker; or of songs, each sub-folder a song")
      ->required();
  app.add_option("--name", arguments->name, "name of the dataset")->required();
  app.add_option("--kind", arguments->kind, "voice (recordings of speakers) or multitrack (songs in tracks)")
      ->check(CLI::IsMember({std::string(name_of(DatasetKind::voice)), std::string(name_of(DatasetKind::multitrack))}))
      ->capture_default_str();
  add_setting(app, "--layout", "layout", fmt::format("of songs: {} (default auto)", fmt::join(kSongLayoutNames, ", ")),
              *arguments);
  add_setting(app, "--tracks", "tracks", "of songs: stems or raw, where a corpus has both (default stems)", *arguments);
  app.add_flag_callback(
      "--mel", [held = arguments.get()] { held->set.emplace_back("with_mel=true"); },
      "of songs: keep mel spectrograms of all tracks too, in 8 bits");
  add_setting(app, "--split-by", "split_by", "of songs: artist or song (default artist)", *arguments);
  add_setting(app, "--sample-rate", "sample_rate_hz",
              "32000, 40000 or 48000 Hz for voices (default 40000), any for songs (default 44100)", *arguments);
  add_setting(app, "--slicing", "slicing.mode", "automatic, simple or skip (default automatic)", *arguments);
  add_setting(app, "--window", "slicing.windows", "applio (3.0 s) or webui (3.7 s) (default applio)", *arguments);
  app.add_option_function<std::string>(
         "--highpass",
         [held = arguments.get()](const std::string& value) {
           held->set.push_back(std::string("highpass=") + (value == "on" ? "true" : "false"));
         },
         "on or off: remove rumble below 48 Hz (default on)")
      ->check(CLI::IsMember({"on", "off"}));
  add_setting(app, "--normalise", "normalise", "pre, post or none (default post)", *arguments);
  app.add_option("--pitch", arguments->pitch,
                 fmt::format("{}, several as \"median(rmvpe, pyin)\", or none (default pyin)",
                             fmt::join(kPitchMethodNames, ", ")));
  app.add_option("--content", arguments->content,
                 fmt::format("{} or none (default cepstral)", fmt::join(kContentMethodNames, ", ")));
  app.add_option("--split", request.split_list, "file of lines 'train|validation|test PATH' (of a song: its folder)");
  add_setting(app, "--seed", "seed", "chooses which recordings are held out (default 0)", *arguments);
  add_setting(app, "--storage", "storage", "int16 or float32 (default int16)", *arguments);
  app.add_option("--config", arguments->config_file,
                 "TOML file of settings (see melisma config explain prepare, or multitrack)");
  app.add_option("--set", arguments->set, "one setting: key=value")->take_all();
  app.add_flag("--force", request.force, "replace a dataset of that name that holds something else");
  app.add_option(
         "--device", arguments->options.device,
         "where a network makes content features: cpu, cuda (every GPU), cuda:1, several as cuda:0,cuda:2, or auto "
         "(GPUs if there are some)")
      ->capture_default_str();
  app.add_flag("--json", arguments->options.json, "print JSON");
  return [arguments, &global] { return run_prepare(*arguments, global); };
}

}  // namespace melisma
