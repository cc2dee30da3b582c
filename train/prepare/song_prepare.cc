#include "train/prepare/song_prepare.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "data/audio/fate.h"
#include "data/sets/dataset_layout.h"
#include "data/sets/dataset_writer.h"
#include "data/sets/split.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "tools/config/config.h"
#include "train/prepare/convert_track.h"
#include "train/prepare/parallel.h"
#include "train/prepare/part_cache.h"
#include "train/prepare/spectrogram_track.h"
#include "train/prepare/target.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSpectrogramKind = "spectrogram";  // of features

// A track or mix, its part and its row in the report.
struct Candidate {
  const TrackSource* source = nullptr;
  std::size_t song = 0;
  bool is_mix = false;
};

// Everything up to the dataset: songs in order, what became of each of their files.
struct Collection {
  SongSources sources;
  std::vector<Candidate> candidates;
  PartsMade made;                              // one a candidate
  std::vector<SpectrogramTrack> spectrograms;  // one a candidate where these are the tracks; otherwise none
  std::int64_t n_bands = 0;
  std::vector<SongSummary> songs;
  std::vector<bool> is_kept;  // one a song

  // The kept tracks of a song, the mix not counted.
  [[nodiscard]] std::vector<std::size_t> tracks_of(std::size_t song) const {
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].song == song && !candidates[i].is_mix && made.parts[i].is_kept) kept.push_back(i);
    }
    return kept;
  }
  [[nodiscard]] std::optional<std::size_t> mix_of(std::size_t song) const {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].song == song && candidates[i].is_mix && made.parts[i].is_kept) return i;
    }
    return std::nullopt;
  }
};

Collection collect(const SongRequest& request, int threads, EventSink& events) {
  const auto& config = request.config;
  Collection all{.sources = find_songs(request.songs, config.layout, config.tracks)};
  std::vector<PartSource> wanted;
  const auto want = [&](const TrackSource& track, std::size_t song, bool is_mix) {
    all.candidates.push_back({&track, song, is_mix});
    wanted.push_back({track.path, track.name, converting_parameters(config, track)});
  };
  for (std::size_t s = 0; s < all.sources.songs.size(); ++s) {
    const auto& song = all.sources.songs[s];
    for (const auto& track : song.tracks) want(track, s, false);
    if (song.mix) want(*song.mix, s, true);
    all.songs.push_back({.folder = song.folder, .name = song.name, .artist = song.artist});
  }
  const bool is_sound = all.sources.layout != kSpectrogramLayout;
  if (!is_sound) all.spectrograms.resize(wanted.size());
  const auto convert = [&](std::size_t i, const fs::path& part_path) {
    if (is_sound) return convert_track(*all.candidates[i].source, config, part_path);
    all.spectrograms[i] = assess_spectrogram(all.candidates[i].source->path);
    return all.spectrograms[i].part;
  };
  all.made = make_parts(wanted, request.cache, threads, "converting tracks", convert, events);
  all.n_bands = agree_on_bands(all.spectrograms);
  for (std::size_t i = 0; i < all.spectrograms.size(); ++i) all.made.parts[i] = all.spectrograms[i].part;
  return all;
}

// What is left of each song; one without a track is left out, one with the tracks of an earlier song too.
void judge_songs(Collection& all, std::int64_t rate_hz) {
  std::map<std::set<std::string>, std::size_t> first_with;
  all.is_kept.assign(all.songs.size(), false);
  for (std::size_t s = 0; s < all.songs.size(); ++s) {
    auto& song = all.songs[s];
    const auto tracks = all.tracks_of(s);
    song.n_tracks = std::ssize(tracks);
    song.n_lost = std::ssize(all.sources.songs[s].tracks) - song.n_tracks;
    song.has_mix = all.mix_of(s).has_value();
    std::set<std::string> sounds;
    for (const auto i : tracks) {
      sounds.insert(all.made.parts[i].sound_hash);
      song.seconds =
          std::max(song.seconds, static_cast<double>(n_frames_of(all.made.parts[i])) / static_cast<double>(rate_hz));
    }
    if (tracks.empty()) {
      song.note = "left out: none of its tracks is of use";
      continue;
    }
    if (const auto [first, is_new] = first_with.emplace(sounds, s); !is_new) {
      song.note = "left out: the same tracks as " + all.songs[first->second].folder;
      for (std::size_t i = 0; i < all.candidates.size(); ++i) {
        if (all.candidates[i].song != s || !all.made.parts[i].is_kept) continue;
        all.made.parts[i].is_kept = false;
        all.made.parts[i].fate = name_of(Fate::duplicate);
        all.made.parts[i].detail = "its song has the same tracks as " + all.songs[first->second].folder;
      }
      continue;
    }
    all.is_kept[s] = true;
    if (song.n_tracks == 1) song.note = "one track: nothing to balance";
    if (song.has_mix && song.n_lost > 0)
      song.note = fmt::format("its mix may hold what {} lost tracks had", song.n_lost);
  }
}

// Songs that must not be parted: equal numbers for those that share a track's samples, and, where asked, an artist.
std::vector<std::int64_t> groups_of(const Collection& all, bool by_artist) {
  std::vector<std::int64_t> group(all.songs.size());
  std::iota(group.begin(), group.end(), 0);
  std::map<std::string, std::size_t> first_with;
  const auto join = [&](const std::string& mark, std::size_t song) {
    const auto [first, is_new] = first_with.emplace(mark, song);
    if (is_new) return;
    const auto from = group[song], to = group[first->second];
    std::replace(group.begin(), group.end(), from, to);
  };
  for (std::size_t s = 0; s < all.songs.size(); ++s) {
    if (!all.is_kept[s]) continue;
    for (const auto i : all.tracks_of(s)) join("sound " + all.made.parts[i].sound_hash, s);
    if (by_artist && !all.songs[s].artist.empty()) join("artist " + all.songs[s].artist, s);
  }
  return group;
}

std::vector<SplitItem> items_of(const Collection& all, const std::vector<std::int64_t>& groups) {
  std::vector<SplitItem> items;
  for (std::size_t s = 0; s < all.songs.size(); ++s) items.push_back({all.songs[s].folder, "", groups[s]});
  return items;
}

// Sides drawn by the seed, but for the songs that the corpus itself holds out.
std::vector<Split> draw_sides(const Collection& all, const SongConfig& config, EventSink& events) {
  const auto items = items_of(all, groups_of(all, config.split_by == "artist"));
  std::vector<Split> sides(items.size(), Split::train);
  std::vector<std::size_t> drawn;
  std::set<std::int64_t> held_out;
  for (std::size_t s = 0; s < items.size(); ++s) {
    if (!all.is_kept[s]) continue;
    if (config.own_split && all.sources.songs[s].side == Split::test) {
      sides[s] = Split::test;
      held_out.insert(items[s].group);
    } else {
      drawn.push_back(s);
    }
  }
  std::vector<SplitItem> pool;
  for (const auto s : drawn) pool.push_back(items[s]);
  const auto made = split_recordings(pool, {.validation = config.validation_share,
                                            .test = held_out.empty() ? config.test_share : 0,
                                            .seed = static_cast<std::uint64_t>(config.seed)});
  for (std::size_t k = 0; k < drawn.size(); ++k) {
    sides[drawn[k]] = made[k];
    if (!held_out.contains(items[drawn[k]].group)) continue;
    warn(events, fmt::format("'{}' shares its artist or a track with a song of the corpus's own test side; "
                             "--set own_split=false draws the sides anew",
                             items[drawn[k]].name));
  }
  return sides;
}

std::vector<Split> choose_sides(const Collection& all, const SongRequest& request, EventSink& events) {
  if (!request.split_list) return draw_sides(all, request.config, events);
  return split_by_list(items_of(all, groups_of(all, false)), read_split_list(*request.split_list),
                       request.split_list->string());
}

void warn_about_splits(const Collection& all, const SongRequest& request, EventSink& events) {
  std::map<std::string, int> filled;
  for (std::size_t s = 0; s < all.songs.size(); ++s) {
    if (all.is_kept[s]) ++filled[all.songs[s].split];
  }
  if (filled["train"] == 0) fail(ErrorKind::data, "no usable song is on the train side of the split; change the list");
  for (const auto split : {Split::validation, Split::test}) {
    if (filled[std::string(name_of(split))] > 0) continue;
    warn(events,
         fmt::format("the {} split is empty: add songs{}", name_of(split),
                     request.config.split_by == "artist" ? ", or part those of one artist with --split-by song" : ""));
  }
}

Track planned_track(const Candidate& candidate, const Part& part) {
  return {.name = candidate.source->track,
          .stem = candidate.source->stem,
          .recording = candidate.source->name,
          .n_channels = part.n_channels,
          .length = n_frames_of(part),
          .hash = part.sound_hash};
}

std::vector<RecordingRow> rows_of(const Collection& all) {
  std::vector<RecordingRow> rows;
  for (std::size_t i = 0; i < all.candidates.size(); ++i) {
    const auto& part = all.made.parts[i];
    const auto& song = all.songs[all.candidates[i].song];
    const bool is_used = part.is_kept && !song.split.empty();
    rows.push_back({.path = all.candidates[i].source->name,
                    .speaker = song.folder,
                    .fate = part.fate,
                    .detail = part.detail,
                    .seconds = part.seconds,
                    .kept_seconds = is_used ? part.seconds : 0,
                    .split = is_used ? song.split : ""});
  }
  for (const auto& [name, why] : all.sources.unused) {
    rows.push_back({.path = name, .fate = std::string(name_of(Fate::not_used)), .detail = why});
  }
  std::sort(rows.begin(), rows.end(), [](const RecordingRow& a, const RecordingRow& b) { return a.path < b.path; });
  return rows;
}

// What the dataset is made by: settings of the samples and of the split.
std::string dataset_parameters(const SongRequest& request, std::string_view layout) {
  SongConfig copy = request.config;
  auto parameters = to_json(schema_of(copy));
  for (const auto* name : {"with_mel", "mel"}) parameters.erase(name);  // features are keyed on their own
  parameters["kind"] = name_of(DatasetKind::multitrack);
  parameters["layout"] = layout;
  if (request.split_list) {
    for (const auto* name : {"split_by", "own_split", "validation_share", "test_share", "seed"}) parameters.erase(name);
    parameters["split"] = "list";
  }
  return parameters.dump();
}

// The dataset without its samples, and which candidate is each of its tracks (in the order of tracks_of()).
struct PlannedDataset {
  DatasetPlan plan;
  std::vector<std::size_t> candidates;
};

PlannedDataset plan_of(const Collection& all, const SongRequest& request) {
  PlannedDataset planned;
  planned.plan = {.sample_rate_hz = request.config.sample_rate_hz,
                  .parameters = dataset_parameters(request, all.sources.layout),
                  .tool_version = request.tool_version,
                  .storage = wave_storage_named(request.config.storage),
                  .recordings = rows_of(all)};
  for (std::size_t s = 0; s < all.songs.size(); ++s) {
    if (!all.is_kept[s]) continue;
    const auto& facts = all.songs[s];
    Song song{.name = facts.name, .artist = facts.artist, .split = split_named(facts.split)};
    for (const auto i : all.tracks_of(s)) {
      song.tracks.push_back(planned_track(all.candidates[i], all.made.parts[i]));
      planned.candidates.push_back(i);
    }
    if (const auto mix = all.mix_of(s)) {
      song.mix = planned_track(all.candidates[*mix], all.made.parts[*mix]);
      planned.candidates.push_back(*mix);
    }
    planned.plan.songs.push_back(std::move(song));
  }
  number_songs(planned.plan.songs);
  return planned;
}

void write_track(DatasetWriter& writer, const Track& track, const Part& part, const fs::path& path,
                 WaveStorage storage) {
  const PartReader reader(path, part, storage);
  for (std::size_t clip = 0; clip < part.clips.size();) {
    Waveform block{{}, part.n_channels, 0};
    for (std::int64_t c = 0; c < part.n_channels; ++c) {
      const auto channel = reader.samples(clip++);
      block.samples.insert(block.samples.end(), channel.begin(), channel.end());
    }
    writer.write_track(track, block);
    if (const int signal = stop_requested(); signal != 0) {
      throw Error::interrupted(signal, "stopped while the dataset was written; the same command continues from here");
    }
  }
}

// The spectrograms of all tracks, in their order.
void write_spectrograms(DatasetWriter& writer, const Collection& all, const PlannedDataset& planned, bool is_exact) {
  FeaturePlan plan{.key = {std::string(kSpectrogramKind), fmt::format(R"({{"source":"npy","bands":{}}})", all.n_bands)},
                   .width = all.n_bands,
                   .storage = is_exact ? FeatureStorage::float32 : FeatureStorage::eight_bit};
  for (const auto i : planned.candidates) plan.frames.push_back(all.spectrograms[i].n_frames);
  writer.begin_features(plan);
  for (std::size_t t = 0; t < planned.candidates.size(); ++t) {
    const auto& path = all.candidates[planned.candidates[t]].source->path;
    const auto spectrogram = read_spectrogram(path);
    if (std::ssize(spectrogram.values) != plan.frames[t] * plan.width) {
      fail(ErrorKind::data, "'{}' changed while it was prepared; run the command again", path.string());
    }
    writer.write_features(plan.key, static_cast<std::int64_t>(t), spectrogram.values);
  }
}

void write_features(DatasetWriter& writer, const Collection& all, const PlannedDataset& planned,
                    const SongRequest& request, std::span<const SongFeatureMaker> makers) {
  std::vector<PreparedTrack> tracks;
  for (const auto i : planned.candidates) tracks.push_back({&all.made.parts[i], all.made.paths[i]});
  const int threads = request.threads > 0 ? request.threads : n_usable_processors();
  for (const auto& maker : makers) write_song_features(writer, tracks, maker, planned.plan.storage, threads);
}

// The feature sets that the same dataset lacks; says what was done.
std::string add_missing_features(const Collection& all, const PlannedDataset& planned, const SongRequest& request,
                                 std::span<const SongFeatureMaker> makers) {
  const auto made = Dataset::open(request.dataset, DatasetKind::multitrack);
  std::vector<SongFeatureMaker> missing;
  std::copy_if(makers.begin(), makers.end(), std::back_inserter(missing),
               [&](const SongFeatureMaker& maker) { return !made.has_features(maker.key); });
  if (missing.empty()) return "already complete";
  extend_dataset(request.dataset,
                 [&](DatasetWriter& writer) { write_features(writer, all, planned, request, missing); });
  return "features added";
}

// Writes the dataset, or adds the features that the same dataset lacks; says which.
std::string write(const Collection& all, PlannedDataset& planned, const SongRequest& request,
                  std::span<const SongFeatureMaker> makers, EventSink& events) {
  auto& plan = planned.plan;
  const auto content = layout::hashes_of(plan.parameters, plan.songs).content;
  if (holds_content(request.dataset, content).value_or(false)) {
    return add_missing_features(all, planned, request, makers);
  }
  check_target(request.dataset, content, request.force);
  auto songs = plan.songs;
  const auto tracks = tracks_of(songs);
  write_dataset(request.dataset, plan, [&](DatasetWriter& writer) {
    if (all.n_bands > 0) return write_spectrograms(writer, all, planned, request.config.exact_spectrograms);
    for (std::size_t t = 0; t < tracks.size(); ++t) {
      const auto i = planned.candidates[t];
      write_track(writer, *tracks[t], all.made.parts[i], all.made.paths[i], plan.storage);
      events.receive(ProgressEvent{
          "writing the dataset", static_cast<double>(t + 1), static_cast<double>(tracks.size()), "tracks", {}});
    }
    write_features(writer, all, planned, request, makers);
  });
  return "written";
}

}  // namespace

int SongReport::exit_code() const {
  const bool any_failed = std::any_of(files.begin(), files.end(), [](const RecordingRow& row) {
    return row.fate == name_of(Fate::unreadable) || row.fate == name_of(Fate::non_finite);
  });
  return any_failed || outcome == "nothing usable" ? 3 : 0;
}

SongReport prepare_songs(const SongRequest& request, std::span<const SongFeatureMaker> makers, EventSink& events) {
  install_stop_handlers();
  const int threads = request.threads > 0 ? request.threads : n_usable_processors();
  make_folders(request.cache, "name another --workspace");
  make_folders(request.dataset.parent_path(), "name another --workspace");
  auto all = collect(request, threads, events);
  judge_songs(all, request.config.sample_rate_hz);

  SongReport report{.dataset = request.dataset,
                    .layout = std::string(all.sources.layout),
                    .sample_rate_hz = request.config.sample_rate_hz,
                    .n_parts_reused = all.made.n_reused,
                    .outcome = "nothing usable"};
  if (std::find(all.is_kept.begin(), all.is_kept.end(), true) != all.is_kept.end()) {
    const auto sides = choose_sides(all, request, events);
    for (std::size_t s = 0; s < sides.size(); ++s) {
      if (all.is_kept[s]) all.songs[s].split = name_of(sides[s]);
    }
    warn_about_splits(all, request, events);
    auto planned = plan_of(all, request);
    report.outcome = write(all, planned, request, makers, events);
    const auto made = Dataset::open(request.dataset, DatasetKind::multitrack);
    report.content_hash = made.content_hash();
    report.split_hash = made.split_hash();
  }
  report.files = rows_of(all);
  report.songs = std::move(all.songs);
  return report;
}

}  // namespace melisma
