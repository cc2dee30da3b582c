#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "data/sets/dataset_json.h"
#include "tools/base/console_sink.h"
#include "tools/base/format.h"
#include "train/prepare/report.h"
#include "train/prepare/song_prepare.h"

namespace melisma {
namespace {

constexpr std::size_t kSongsShown = 30;

std::string line_of(const SongSummary& song, std::size_t width) {
  auto line = fmt::format("  {:<{}}  {:<10}  {:>2} tracks{}{}", song.folder, width,
                          song.split.empty() ? "-" : song.split, song.n_tracks, song.has_mix ? " and a mix" : "",
                          song.n_lost > 0 ? fmt::format(", {} lost", song.n_lost) : "");
  if (song.seconds > 0) line += "  " + format_seconds(song.seconds);
  return line + (song.note.empty() ? "" : "  " + song.note) + "\n";
}

// Every song, or those that have a note where there are many.
std::string songs_text(const SongReport& report) {
  std::size_t width = 0;
  for (const auto& song : report.songs) width = std::max(width, song.folder.size());
  std::string text;
  for (const auto& song : report.songs) {
    if (report.songs.size() <= kSongsShown || !song.note.empty()) {
      text += line_of(song, std::min<std::size_t>(width, 60));
    }
  }
  return text;
}

std::string sides_text(const SongReport& report) {
  std::map<std::string, std::pair<std::int64_t, double>> sides;
  for (const auto& song : report.songs) {
    ++sides[song.split].first;
    sides[song.split].second += song.seconds;
  }
  std::string text;
  for (const auto split : {Split::train, Split::validation, Split::test}) {
    const auto& [count, seconds] = sides[std::string(name_of(split))];
    text += fmt::format("{:<12}{}, {}\n", name_of(split), format_amount(static_cast<double>(count), "songs"),
                        format_seconds(seconds));
  }
  return text;
}

std::string text_of(const SongReport& report) {
  auto text = fmt::format("layout {}\n", report.layout) + files_text(report.files) + songs_text(report);
  if (report.outcome == "nothing usable") return text + "no dataset was written: nothing usable\n";
  text += sides_text(report);
  if (report.n_parts_reused > 0) {
    text += fmt::format("taken up from an earlier run: {}\n",
                        format_amount(static_cast<double>(report.n_parts_reused), "tracks"));
  }
  return text + fmt::format("dataset {} ({}, {} Hz, content {})\n", report.dataset.string(), report.outcome,
                            report.sample_rate_hz, report.content_hash.substr(0, 12));
}

nlohmann::ordered_json json_of(const SongReport& report) {
  nlohmann::ordered_json json{{"dataset", report.dataset.string()},
                              {"outcome", report.outcome},
                              {"layout", report.layout},
                              {"sample_rate_hz", report.sample_rate_hz},
                              {"content_hash", report.content_hash},
                              {"split_hash", report.split_hash},
                              {"fates", fates_json(report.files)}};
  for (const auto& song : report.songs) {
    json["songs"].push_back({{"folder", song.folder},
                             {"name", song.name},
                             {"artist", song.artist},
                             {"split", song.split},
                             {"tracks", song.n_tracks},
                             {"lost", song.n_lost},
                             {"has_mix", song.has_mix},
                             {"seconds", song.seconds},
                             {"note", song.note}});
  }
  for (const auto& row : report.files) {
    json["files"].push_back({{"path", row.path},
                             {"song", row.speaker},
                             {"fate", row.fate},
                             {"detail", row.detail},
                             {"seconds", row.seconds},
                             {"split", row.split}});
  }
  json["reused"] = {{"tracks", report.n_parts_reused}};
  return json;
}

}  // namespace

int prepare_songs_and_report(const SongOptions& options, std::span<const SongFeatureMaker> makers) {
  ConsoleSink console;
  const auto report = prepare_songs(options.request, makers, console);
  console.flush();
  print_report(text_of(report), json_of(report), options.json);
  return report.exit_code();
}

}  // namespace melisma
