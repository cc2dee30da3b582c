#include "train/prepare/prepare.h"

#include <algorithm>
#include <set>

#include "data/audio/fate.h"
#include "data/sets/dataset_writer.h"
#include "data/sets/split.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "train/prepare/assemble.h"
#include "train/prepare/cut_recording.h"
#include "train/prepare/parallel.h"
#include "train/prepare/part_cache.h"
#include "train/prepare/sources.h"
#include "train/prepare/target.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kScratchSamples = 64'000'000;  // in memory, all threads together: 256 MB

void make_folder(const fs::path& folder) { make_folders(folder, "name another --workspace"); }

// Each source's part, from the cache where it holds one of the same file and settings.
PartsMade cut_all(const PrepareRequest& request, const std::vector<SourceFile>& sources, int threads,
                  EventSink& events) {
  const auto parameters = cutting_parameters(request.config);
  std::vector<PartSource> wanted;
  for (const auto& source : sources) wanted.push_back({source.path, source.name, parameters});
  const auto cut = [&](std::size_t i, const fs::path& part_path) {
    return cut_recording(sources[i].path, request.config, part_path, kScratchSamples / threads, threads > 1);
  };
  return make_parts(wanted, request.cache, threads, "cutting recordings", cut, events);
}

// A recording whose samples another one (earlier by name) has too is left out.
void leave_out_copies(const std::vector<SourceFile>& sources, std::vector<Part>& parts) {
  std::map<std::string, std::size_t> first_with;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].is_kept) continue;
    const auto [first, is_new] = first_with.emplace(parts[i].sound_hash, i);
    if (is_new) continue;
    parts[i].fate = name_of(Fate::duplicate);
    parts[i].detail = "the same samples as " + sources[first->second].name;
    parts[i].is_kept = false;
  }
}

std::vector<std::int64_t> find_groups(const std::vector<Part>& parts) {
  std::vector<Fingerprint> prints(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].is_kept) prints[i] = parts[i].fingerprint;
  }
  return duplicate_groups(prints);
}

std::vector<SplitItem> items_of(const std::vector<SourceFile>& sources, const std::vector<std::int64_t>& groups) {
  std::vector<SplitItem> items;
  for (std::size_t i = 0; i < sources.size(); ++i) items.push_back({sources[i].name, sources[i].speaker, groups[i]});
  return items;
}

// The side of every source; only kept ones take part in the draw.
std::vector<Split> choose_sides(const PrepareRequest& request, const std::vector<SourceFile>& sources,
                                const std::vector<Part>& parts, const std::vector<std::int64_t>& groups,
                                std::span<const SplitListEntry> list) {
  const auto items = items_of(sources, groups);
  if (request.split_list) return split_by_list(items, list, request.split_list->string());
  std::vector<SplitItem> kept;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (parts[i].is_kept) kept.push_back(items[i]);
  }
  const auto& config = request.config;
  const auto drawn = split_recordings(kept, {.validation = config.validation_share,
                                             .test = config.test_share,
                                             .seed = static_cast<std::uint64_t>(config.seed)});
  std::vector<Split> sides(items.size(), Split::train);
  for (std::size_t i = 0, k = 0; i < items.size(); ++i) {
    if (parts[i].is_kept) sides[i] = drawn[k++];
  }
  return sides;
}

// Wrong names in a list are said before any work is done.
std::vector<SplitListEntry> read_list(const PrepareRequest& request, const std::vector<SourceFile>& sources) {
  if (!request.split_list) return {};
  auto list = read_split_list(*request.split_list);
  const std::vector<std::int64_t> no_groups(sources.size(), -1);
  (void)split_by_list(items_of(sources, no_groups), list, request.split_list->string());
  return list;
}

void warn_about_splits(const std::vector<PreparedRecording>& kept, EventSink& events) {
  std::set<Split> filled;
  for (const auto& recording : kept) filled.insert(recording.split);
  if (!filled.contains(Split::train)) {
    fail(ErrorKind::data, "no usable recording is on the train side of the split; change the list");
  }
  for (const auto split : {Split::validation, Split::test}) {
    if (filled.contains(split)) continue;
    warn(events, fmt::format("the {} split is empty: {} usable recording{} cannot fill all three (a recording is never "
                             "parted); add recordings",
                             name_of(split), kept.size(), kept.size() == 1 ? "" : "s"));
  }
}

void warn_about_pitch(const std::vector<PreparedRecording>& kept, std::span<const FeatureMaker> makers,
                      EventSink& events) {
  for (const auto& maker : makers) {
    if (maker.key.kind != "pitch" || has_any_value(kept, maker.key)) continue;
    warn(
        events,
        "no voiced frame was found in any recording, so a voice would learn breath and noise; check the recordings, or "
        "the range from pitch.fmin_hz to pitch.fmax_hz");
  }
}

}  // namespace

int PrepareReport::exit_code() const {
  const bool any_failed = std::any_of(recordings.begin(), recordings.end(), [](const RecordingRow& row) {
    return row.fate == name_of(Fate::unreadable) || row.fate == name_of(Fate::non_finite);
  });
  const bool any_kept =
      std::any_of(recordings.begin(), recordings.end(), [](const RecordingRow& row) { return row.n_clips > 0; });
  return any_failed || !any_kept ? 3 : 0;
}

PrepareReport prepare(const PrepareRequest& request, std::span<const FeatureMaker> makers, EventSink& events) {
  install_stop_handlers();
  const int threads = request.threads > 0 ? request.threads : n_usable_processors();
  const auto storage = wave_storage_named(request.config.storage);
  const auto sources = find_sources(request.recordings);
  const auto list = read_list(request, sources);
  make_folder(request.cache);
  make_folder(request.dataset.parent_path());

  auto cut = cut_all(request, sources, threads, events);
  leave_out_copies(sources, cut.parts);
  const auto groups = find_groups(cut.parts);
  Assembly assembly = assemble(sources, cut.parts, cut.paths, groups, request.config, request.split_list.has_value());
  if (assembly.recordings.empty()) return report_of(assembly, request, "nothing usable");
  place(assembly, choose_sides(request, sources, cut.parts, groups, list));
  warn_about_splits(assembly.recordings, events);
  cut.parts.clear();

  check_target(request.dataset, assembly.content_hash, request.force);
  const auto blocks =
      make_features(assembly.recordings, makers, request.config.sample_rate_hz, storage, threads, events);
  warn_about_pitch(assembly.recordings, makers, events);
  auto report = report_of(assembly, request, write(assembly, request, makers, events));
  report.n_parts_reused = cut.n_reused;
  report.n_blocks_reused = blocks.found;
  report.n_blocks_made = blocks.made;
  return report;
}

}  // namespace melisma
