// A studio for tests: a folder of rendered songs, and the preparation of them.
#pragma once
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "data/audio/audio_writer.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"
#include "train/prepare/song_prepare.h"

namespace melisma::testing {
namespace fs = std::filesystem;

class QuietSink final : public EventSink {
 public:
  void receive(const Event& event) override {
    if (const auto* message = std::get_if<MessageEvent>(&event)) said += message->text + "\n";
  }
  std::string said;
};

// Noise of its own for every name.
inline Waveform noise(const std::string& name, double seconds, std::int64_t n_channels = 2,
                      std::int64_t rate_hz = 44100) {
  RandomSource random(seed_of(3, name));
  const auto n_frames = static_cast<std::int64_t>(std::lround(seconds * static_cast<double>(rate_hz)));
  Waveform wave{std::vector<float>(static_cast<std::size_t>(n_channels * n_frames)), n_channels, rate_hz};
  for (auto& sample : wave.samples) sample = static_cast<float>(0.5 * random.uniform() - 0.25);
  return wave;
}

// Our own writer refuses what is not finite, so the last sample of a float file is changed by hand.
inline void put_nan_at_the_end(const fs::path& path) {
  auto bytes = read_file(path);
  const float value = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.data() + bytes.size() - sizeof value, &value, sizeof value);
  write_file_atomically(path, bytes);
}

struct Studio {
  TemporaryFolder folder;
  QuietSink sink;
  SongRequest request;
  std::vector<SongFeatureMaker> makers;

  Studio() {
    request.songs = folder / "in";
    request.dataset = folder.path() / "datasets/a.h5";
    request.cache = folder / "cache";
    request.tool_version = "test";
    request.threads = 2;
  }
  void write(const std::string& name, const Waveform& wave) const {
    const auto path = request.songs / name;
    fs::create_directories(path.parent_path());
    write_audio(path, wave, "wav32f");
  }
  void write_song(const std::string& song, int n_tracks, double seconds = 0.5) const {
    for (int i = 0; i < n_tracks; ++i) {
      const auto name = fmt::format("{}/track{:02}.wav", song, i);
      write(name, noise(name, seconds));
    }
  }
  SongReport run() { return prepare_songs(request, makers, sink); }
  [[nodiscard]] Dataset dataset() const { return Dataset::open(request.dataset, DatasetKind::multitrack); }
};

inline std::map<std::string, std::string> fates_of(const SongReport& report) {
  std::map<std::string, std::string> fates;
  for (const auto& row : report.files) fates[row.path] = row.fate;
  return fates;
}

inline void touch(const fs::path& folder, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    fs::create_directories((folder / name).parent_path());
    write_file_atomically(folder / name, "x");
  }
}

}  // namespace melisma::testing
