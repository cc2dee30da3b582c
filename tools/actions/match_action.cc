#include "tools/actions/match_action.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "infer/match/match_explain.h"
#include "infer/match/match_output.h"
#include "tools/actions/file_jobs.h"
#include "tools/actions/match_report.h"
#include "tools/actions/match_sources.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"

namespace melisma {
namespace match_action_detail {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Output {
  fs::path path;
  MatchFinish finish;
  const AudioFormat* format;
};

// Every file that is to be written, checked before anything is read.
std::vector<Output> outputs_of(const MatchOptions& options) {
  std::vector<Output> outputs;
  const auto add = [&](const std::vector<fs::path>& paths, MatchFinish finish) {
    for (const auto& path : paths) outputs.push_back({path, finish, &format_of_results(options.format, path, false)});
  };
  add(options.limited, MatchFinish::limited);
  add(options.unlimited, MatchFinish::unlimited);
  add(options.normalised, MatchFinish::normalised);
  if (outputs.empty()) {
    fail(ErrorKind::usage, "no output is named; give -o, --unlimited or --normalised, each as often as you like");
  }
  return outputs;
}

void require_free(const fs::path& path, const MatchOptions& options) {
  std::error_code absent;
  auto inputs = std::vector{options.target};
  for (const auto& text : options.references) inputs.push_back(named_reference(text).file);
  for (const auto& input : inputs) {
    if (fs::equivalent(path, input, absent)) {
      fail(ErrorKind::usage, "'{}' is one of the recordings; name another output", path.string());
    }
  }
  if (fs::is_directory(path)) fail(ErrorKind::usage, "'{}' is a folder; name the file to write", path.string());
  require_writable(path);
}

void stop_if_asked() {
  if (const int stop = stop_requested()) throw Error::interrupted(stop, "matching stopped");
}

double db(double factor) { return 20 * std::log10(std::max(factor, 1e-12)); }

void print_output(const Json& row, double seconds, double elapsed) {
  fmt::print("{}: {}, {:.2f} s in {:.2f} s ({:.0f}x real time), peak {:+.2f} dB{}\n", row["output"].get<std::string>(),
             row["finish"].get<std::string>(), seconds, elapsed, seconds / elapsed, db(row["peak"]),
             row["is_clipped"].get<bool>() ? "; the format cut what was past full scale" : "");
}

struct Made {
  MatchedTarget target;
  std::vector<MatchStep> steps;
  std::vector<const MatchRemark*> remarks;
  std::optional<StereoSignal> before;  // kept for a preview
};

void require_another_recording(const StereoSignal& target, const MatchOptions& options,
                               const std::vector<MatchStep>& steps) {
  for (std::size_t i = 0; i < options.references.size(); ++i) {
    const auto& profile = steps.front().references[i].profile;
    const auto file = named_reference(options.references[i]).file;
    if (profile.n_frames != target.n_frames() || profile.sample_rate_hz != target.sample_rate_hz) continue;
    if (holds_the_same(file, target)) {
      fail(ErrorKind::data, "'{}' and '{}' hold the same recording; name another reference (code 4005)",
           options.target.string(), file.string());
    }
  }
}

Made make(const MatchOptions& options, bool is_limited) {
  Made made;
  std::vector<const MatchRemark*> remarks;
  // First what to match to: once it is analysed nothing of its recordings is needed.
  made.steps = steps_of({options.references, options.presets, options.presets_as}, options.settings, remarks);
  if (made.steps.empty()) fail(ErrorKind::usage, "--reference or --preset is required; see melisma match --help");
  auto target = read_for_matching(options.target, MatchRole::target, options.settings);
  stop_if_asked();
  made.remarks = target.remarks;
  made.remarks.insert(made.remarks.end(), remarks.begin(), remarks.end());
  require_another_recording(target.signal, options, made.steps);
  if (!options.preview_target.empty()) made.before = target.signal;
  made.target = with_context("matching '" + options.target.string() + "'", [&] {
    return matched(std::move(target.signal), made.steps, options.settings, is_limited);
  });
  stop_if_asked();
  return made;
}

// Of the limited result if there is one, else of the first there is.
void write_previews(const MatchOptions& options, const Made& made, MatchFinish finish) {
  if (options.preview_target.empty() && options.preview_result.empty()) return;
  const auto& song = made.target.song;
  const auto window = preview_window(song, finish);
  if (made.before) {
    write_audio(options.preview_target, preview_of(*made.before, options.settings.matching.threshold, window));
  }
  if (!options.preview_result.empty()) write_audio(options.preview_result, preview_of(song, finish, window));
}

}  // namespace
}  // namespace match_action_detail

int match(const MatchOptions& options) {
  using namespace match_action_detail;
  install_stop_handlers();
  require_fitting(options.settings.matching);
  const auto outputs = outputs_of(options);
  for (const auto& output : outputs) require_free(output.path, options);
  for (const auto& preview : {options.preview_target, options.preview_result}) {
    if (preview.empty()) continue;
    require_free(preview, options);
    (void)audio_format_for(preview);
  }
  const auto started = std::chrono::steady_clock::now();
  const auto made = make(options, !options.limited.empty());
  const auto& song = made.target.song;
  auto report = match_report(made.target, made.steps);
  auto rows = Json::array();
  for (const auto& output : outputs) {
    const double peak = write_matched(output.path, song, output.finish, *output.format);
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    const auto& finish = kMatchFinishes[static_cast<std::size_t>(output.finish)];
    rows.push_back({{"output", output.path.string()},
                    {"finish", finish.name},
                    {"peak", peak},
                    {"is_clipped", peak > 1 && output.format->name != "wav32f"}});
    if (!options.json) print_output(rows.back(), report["seconds"], elapsed);
  }
  write_previews(options, made, outputs.front().finish);
  auto remarks = Json::array();
  for (const auto* remark : made.remarks) {
    remarks.push_back({{"code", remark->code}, {"is_warning", remark->is_warning}, {"text", remark->text}});
    if (!options.json) fmt::print("  {}{}\n", remark->is_warning ? "warning: " : "", remark->text);
  }
  if (const auto warning = match_warning(made.target); !warning.empty()) {
    remarks.push_back({{"code", 0}, {"is_warning", true}, {"text", warning}});
    if (!options.json) fmt::print("  warning: {}\n", warning);
  }
  report["outputs"] = rows;
  report["remarks"] = remarks;
  if (options.json) {
    fmt::print("{}\n", json_text(report));
    return 0;
  }
  print_match_summary(made.target);
  if (options.explain) {
    fmt::print("\n{}", made.target.improved ? explanation_of(song, *made.target.improved) : explanation_of(song));
  }
  return 0;
}

}  // namespace melisma
