// Features of tracks: made of their sound, or taken from spectrograms that other programs saved.
#include "train/prepare/song_features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "data/sets/npy.h"
#include "tests/train/prepare/studio.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::fates_of;
using ::testing::HasSubstr;
using testing::message_of;
using testing::Studio;
using testing::touch;

// A row for every 1000 samples: their sum, and how many there were.
class SumOfTrack final : public TrackFeatures {
 public:
  void push(std::span<const float> mono) override { samples_.insert(samples_.end(), mono.begin(), mono.end()); }
  [[nodiscard]] std::vector<float> finish() override {
    std::vector<float> rows;
    for (std::size_t i = 0; i < samples_.size(); i += 1000) {
      const auto piece = std::span(samples_).subspan(i, std::min<std::size_t>(1000, samples_.size() - i));
      rows.insert(rows.end(), {std::accumulate(piece.begin(), piece.end(), 0.0F), static_cast<float>(piece.size())});
    }
    return rows;
  }

 private:
  std::vector<float> samples_;
};

TEST(SongFeatures, FeaturesOfEveryTrackAreMadeOfTheMeanOfItsChannelsWhateverTheThreads) {
  Studio studio;
  studio.request.config.storage = "float32";
  studio.write_song("a", 3, 2.0);
  studio.write_song("b", 2);
  EXPECT_EQ(studio.run().outcome, "written");
  const FeatureKey key{"sum", "{}"};
  studio.makers = {{.key = key,
                    .width = 2,
                    .n_rows = [](std::int64_t length) { return (length + 999) / 1000; },
                    .start = [] { return std::make_unique<SumOfTrack>(); }}};
  studio.dataset().record_test_opening({"now", "evaluate", "m"});
  EXPECT_EQ(studio.run().outcome, "features added");
  EXPECT_EQ(studio.dataset().ledger().size(), 1U) << "openings of the test split stay on record";
  EXPECT_EQ(studio.run().outcome, "already complete");
  const auto dataset = studio.dataset();
  for (const auto& song : dataset.songs()) {
    for (const auto& track : song.tracks) {
      const auto rows = dataset.feature_rows(key, track);
      ASSERT_EQ(rows.n_frames, (track.length + 999) / 1000);
      const auto wave = dataset.excerpt(track, 1000, 1000);
      double sum = 0;
      for (const double sample : wave.samples) sum += sample / 2;
      EXPECT_NEAR(rows.values[2], sum, 1e-3);
      EXPECT_EQ(rows.values[3], 1000);
    }
  }
  studio.request.dataset = studio.folder.path() / "datasets/b.h5";
  studio.run();
  const auto bytes = read_file(studio.request.dataset);
  studio.request.threads = 1;
  studio.request.force = true;
  fs::remove(studio.request.dataset);
  studio.run();
  EXPECT_EQ(read_file(studio.request.dataset), bytes);
}

// Decibels of a spectrogram [bands, frames] that differ from band to band and frame to frame.
std::vector<float> decibels(std::int64_t n_bands, std::int64_t n_frames, float highest) {
  std::vector<float> values;
  for (std::int64_t band = 0; band < n_bands; ++band) {
    for (std::int64_t frame = 0; frame < n_frames; ++frame) {
      values.push_back(highest - 80 * static_cast<float>((band * 37 + frame * 11) % 997) / 996);
    }
  }
  return values;
}

TEST(SongFeatures, SpectrogramsOfLibrosaBecomeFeaturesInEightBits) {
  Studio studio;
  const auto save = [&]<class T>(const std::string& name, const std::vector<T>& values,
                                 std::vector<std::int64_t> shape) {
    fs::create_directories((studio.request.songs / name).parent_path());
    write_npy<T>(studio.request.songs / name, values, shape);
  };
  const auto drums = decibels(128, 90, 0), keys = decibels(128, 40, -12), mix = decibels(128, 90, 3);
  save("one/drums.npy", drums, {128, 90});
  save("one/keys.npy", std::vector<double>(keys.begin(), keys.end()), {1, 128, 40});
  save("one/mixture.npy", mix, {128, 90});
  save("one/narrow.npy", decibels(64, 90, 0), {64, 90});
  save("one/flat.npy", decibels(1, 90, 0), {90});
  auto broken = decibels(128, 5, 0);
  broken[3] = std::numeric_limits<float>::infinity();
  save("one/broken.npy", broken, {128, 5});
  touch(studio.request.songs, {"one/no.npy"});
  for (const auto* name : {"two/bass.npy", "three/bass.npy"})
    save(name, decibels(128, 33, name[1] == 'w' ? 1 : 2), {128, 33});
  const auto report = studio.run();
  EXPECT_EQ(report.layout, "npy");
  EXPECT_EQ(report.exit_code(), 3);
  auto fates = fates_of(report);
  EXPECT_EQ(fates["one/narrow.npy"], "unreadable");
  EXPECT_EQ(fates["one/flat.npy"], "unreadable");
  EXPECT_EQ(fates["one/no.npy"], "unreadable");
  EXPECT_EQ(fates["one/broken.npy"], "non_finite");
  EXPECT_EQ(fates["one/keys.npy"], "kept");
  const auto dataset = studio.dataset();
  ASSERT_EQ(dataset.feature_sets().size(), 1U);
  const auto key = dataset.feature_sets()[0];
  EXPECT_EQ(key.parameters, R"({"source":"npy","bands":128})");
  const auto& song = dataset.songs()[0];
  ASSERT_EQ(song.tracks.size(), 2U);
  const auto rows = dataset.feature_rows(key, song.tracks[0]);
  EXPECT_EQ(rows.n_frames, 90);
  for (std::int64_t frame = 0; frame < 90; ++frame) {
    for (std::int64_t band = 0; band < 128; ++band) {
      EXPECT_NEAR(rows.values[static_cast<std::size_t>(frame * 128 + band)],
                  drums[static_cast<std::size_t>(band * 90 + frame)], 0.16);
    }
  }
  EXPECT_EQ(dataset.feature_rows(key, song.tracks[1]).n_frames, 40);
  EXPECT_EQ(dataset.feature_rows(key, *song.mix).n_frames, 90);
  EXPECT_THAT(message_of([&] { (void)dataset.excerpt(song.tracks[0], 0, 10); }), HasSubstr("is a spectrogram only"));
}

}  // namespace
}  // namespace melisma
