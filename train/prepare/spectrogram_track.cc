#include "train/prepare/spectrogram_track.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "data/audio/fate.h"
#include "data/sets/npy.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

void judge(Part& part, Fate fate, std::string detail) {
  part.fate = name_of(fate);
  part.detail = std::move(detail);
  part.is_kept = is_kept(fate);
}

}  // namespace

FeatureMatrix read_spectrogram(const fs::path& path) {
  const auto array = read_npy(path);
  if (array.type.starts_with('c')) {
    fail(ErrorKind::data, "cannot use '{}': its numbers are complex; save magnitudes or decibels", path.string());
  }
  auto shape = array.shape;
  while (shape.size() > 2 && shape.front() == 1) shape.erase(shape.begin());
  if (shape.size() != 2) {
    fail(ErrorKind::data, "cannot use '{}': its shape is [{}], expected [bands, frames]", path.string(),
         fmt::join(array.shape, ", "));
  }
  const auto values = array.values<float>();
  const auto n_bands = shape[0], n_frames = shape[1];
  FeatureMatrix made{std::vector<float>(values.size()), n_frames, n_bands};
  for (std::int64_t band = 0; band < n_bands; ++band) {
    for (std::int64_t frame = 0; frame < n_frames; ++frame) {
      made.values[static_cast<std::size_t>(frame * n_bands + band)] =
          values[static_cast<std::size_t>(band * n_frames + frame)];
    }
  }
  return made;
}

SpectrogramTrack assess_spectrogram(const fs::path& path) {
  SpectrogramTrack track;
  try {
    const auto spectrogram = read_spectrogram(path);
    track.n_frames = spectrogram.n_frames;
    track.n_bands = spectrogram.width;
    track.part.sound_hash = content_hash(std::as_bytes(std::span(spectrogram.values)));
    const auto n_odd = std::count_if(spectrogram.values.begin(), spectrogram.values.end(),
                                     [](float value) { return !std::isfinite(value); });
    if (n_odd > 0) {
      judge(track.part, Fate::non_finite,
            fmt::format("{} of {} values are NaN or infinite", n_odd, spectrogram.values.size()));
    } else if (spectrogram.values.empty()) {
      judge(track.part, Fate::too_short, "no frames");
    } else {
      judge(track.part, Fate::kept, "");
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    judge(track.part, Fate::unreadable, error.message());
  }
  return track;
}

std::int64_t agree_on_bands(std::span<SpectrogramTrack> tracks) {
  std::map<std::int64_t, std::int64_t> counts;
  for (const auto& track : tracks) {
    if (track.part.is_kept) ++counts[track.n_bands];
  }
  const auto most =
      std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == counts.end()) return 0;
  for (auto& track : tracks) {
    if (!track.part.is_kept || track.n_bands == most->first) continue;
    judge(track.part, Fate::unreadable,
          fmt::format("{} bands, but the others have {}; prepare them apart", track.n_bands, most->first));
  }
  return most->first;
}

}  // namespace melisma
