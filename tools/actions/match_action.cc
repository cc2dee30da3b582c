#include "tools/actions/match_action.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "infer/match/match_explain.h"
#include "infer/match/match_input.h"
#include "infer/match/match_output.h"
#include "tools/actions/file_jobs.h"
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
  for (const auto& input : {options.target, options.reference}) {
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

Json levels_json(const PieceSizes& sizes, const PieceLevels& levels) {
  return {{"pieces", sizes.divisions},     {"piece_frames", sizes.piece}, {"rms", levels.rmses},
          {"average_rms", levels.average}, {"loudest", levels.loudest},   {"match_rms", levels.match_rms}};
}

Json report_of(const MatchedSong& song, const MatchProfile& profile) {
  std::vector<double> corrections;
  for (const auto& correction : song.record.corrections) corrections.push_back(correction.coefficient);
  Json report{
      {"seconds", static_cast<double>(song.filtered.n_frames()) / static_cast<double>(song.filtered.sample_rate_hz)},
      {"target", levels_json(song.record.sizes, song.record.target)},
      {"reference", levels_json(profile.sizes, profile.levels)},
      {"level_coefficient", song.record.level_coefficient},
      {"corrections", corrections},
      {"final_amplitude", profile.final_amplitude},
      {"peak_before_limiter", song.record.peak},
      {"clamped_bins", {{"mid", song.record.mid.n_clamped}, {"side", song.record.side.n_clamped}}}};
  if (song.limiter.has_value()) {
    const auto& gain = song.limiter->gain;
    report["limiter"] = {{"is_active", !gain.empty()},
                         {"samples_over", song.limiter->n_over},
                         {"least_gain", gain.empty() ? 1.0 : *std::ranges::min_element(gain)}};
  }
  return report;
}

void print_output(const Json& row, double seconds, double elapsed) {
  fmt::print("{}: {}, {:.2f} s in {:.2f} s ({:.0f}x real time), peak {:+.2f} dB{}\n", row["output"].get<std::string>(),
             row["finish"].get<std::string>(), seconds, elapsed, seconds / elapsed, db(row["peak"]),
             row["is_clipped"].get<bool>() ? "; the format cut what was past full scale" : "");
}

void print_summary(const MatchedSong& song) {
  fmt::print("  level {:+.2f} dB, after the filter {:+.2f} dB\n", db(song.record.level_coefficient), db(song.level));
  if (!song.limiter.has_value()) return;
  const auto& gain = song.limiter->gain;
  if (gain.empty()) {
    fmt::print("  the limiter had nothing to do\n");
  } else {
    fmt::print("  limiter: {} samples over, at most {:.2f} dB down\n", song.limiter->n_over,
               -db(*std::ranges::min_element(gain)));
  }
}

struct Made {
  MatchedSong song;
  MatchProfile profile;
  std::vector<const MatchRemark*> remarks;
  std::optional<StereoSignal> target;  // kept for a preview
};

Made make(const MatchOptions& options, bool is_limited) {
  const MatchConfig config;
  Made made;
  auto target = read_match_input(options.target, MatchRole::target, config);
  stop_if_asked();
  made.remarks = target.remarks;
  {
    const auto reference = read_match_input(options.reference, MatchRole::reference, config);
    made.remarks.insert(made.remarks.end(), reference.remarks.begin(), reference.remarks.end());
    if (are_the_same(target.signal, reference.signal)) {
      fail(ErrorKind::data, "'{}' and '{}' hold the same recording; name another reference (code 4005)",
           options.target.string(), options.reference.string());
    }
    made.profile = with_context("analysing '" + options.reference.string() + "'",
                                [&] { return reference_profile(reference.signal, config); });
  }
  stop_if_asked();
  if (!options.preview_target.empty()) made.target = target.signal;
  made.song = with_context("matching '" + options.target.string() + "'",
                           [&] { return match_to(std::move(target.signal), made.profile, config, is_limited); });
  stop_if_asked();
  return made;
}

// Of the limited result if there is one, else of the first there is.
void write_previews(const MatchOptions& options, const Made& made, MatchFinish finish) {
  if (options.preview_target.empty() && options.preview_result.empty()) return;
  const auto window = preview_window(made.song, finish);
  if (made.target) write_audio(options.preview_target, preview_of(*made.target, made.song.threshold, window));
  if (!options.preview_result.empty()) {
    write_audio(options.preview_result, preview_of(made.song, finish, window));
  }
}

}  // namespace
}  // namespace match_action_detail

int match(const MatchOptions& options) {
  using namespace match_action_detail;
  install_stop_handlers();
  const auto outputs = outputs_of(options);
  for (const auto& output : outputs) require_free(output.path, options);
  for (const auto& preview : {options.preview_target, options.preview_result}) {
    if (preview.empty()) continue;
    require_free(preview, options);
    (void)audio_format_for(preview);
  }
  const auto started = std::chrono::steady_clock::now();
  const auto made = make(options, !options.limited.empty());
  auto report = report_of(made.song, made.profile);
  auto rows = Json::array();
  for (const auto& output : outputs) {
    const double peak = write_matched(output.path, made.song, output.finish, *output.format);
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
  report["outputs"] = rows;
  report["remarks"] = remarks;
  if (options.json) {
    fmt::print("{}\n", json_text(report));
    return 0;
  }
  print_summary(made.song);
  if (options.explain) fmt::print("\n{}", explanation_of(made.song));
  return 0;
}

}  // namespace melisma
