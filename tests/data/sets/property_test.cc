// Arrays, HDF5 files and datasets give back whatever was written into them, and refuse what was damaged.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "data/sets/dataset.h"
#include "data/sets/dataset_writer.h"
#include "data/sets/hdf5_file.h"
#include "data/sets/npy.h"
#include "tests/support/golden.h"
#include "tests/support/property.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

using testing::holds;
using testing::TemporaryFolder;

// One to three dimensions of at most five.
std::vector<std::int64_t> any_shape() {
  auto shape = *rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, 6));
  shape.resize(std::min<std::size_t>(shape.size(), 3));
  if (shape.empty()) shape.push_back(*rc::gen::inRange<std::int64_t>(0, 6));
  return shape;
}

std::size_t count_of(const std::vector<std::int64_t>& shape) {
  return static_cast<std::size_t>(
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<std::int64_t>()));
}

template <class T>
std::vector<T> any_values(std::size_t count) {
  return *rc::gen::container<std::vector<T>>(count, rc::gen::arbitrary<T>());
}

template <class T>
bool same_bytes(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

template <class T>
void expect_npy_round_trip(const char* type) {
  const TemporaryFolder folder;
  EXPECT_TRUE(holds(15, [&] {
    const auto shape = any_shape();
    const auto values = any_values<T>(count_of(shape));
    write_npy<T>(folder / "x.npy", values, shape);
    const auto read = read_npy(folder / "x.npy");
    RC_ASSERT(read.type == type);
    RC_ASSERT(read.shape == shape);
    RC_ASSERT(same_bytes<std::byte>(read.bytes, std::as_bytes(std::span(values))));
  })) << type;
}

TEST(NpyProperty, ArraysOfEveryTypeAndShapeReadBack) {
  expect_npy_round_trip<float>("f4");
  expect_npy_round_trip<double>("f8");
  expect_npy_round_trip<std::int16_t>("i2");
  expect_npy_round_trip<std::int32_t>("i4");
  expect_npy_round_trip<std::int64_t>("i8");
  expect_npy_round_trip<std::uint8_t>("u1");
}

TEST(NpyProperty, DamagedArraysAreRefusedOrHoldWhatTheySay) {
  const TemporaryFolder folder;
  write_npy<float>(folder / "x.npy", std::vector<float>{1, 2, 3, 4, 5, 6}, std::vector<std::int64_t>{2, 3});
  const auto original = read_file(folder / "x.npy");
  int n_read = 0, n_refused = 0;
  EXPECT_TRUE(holds(2000, [&] {
    auto bytes = original;
    for (int change = *rc::gen::inRange(1, 4); change > 0; --change) {
      const auto at = static_cast<std::size_t>(*rc::gen::inRange<std::int64_t>(0, std::ssize(bytes)));
      if (*rc::gen::inRange(0, 8) == 0) {
        bytes.resize(at + 1);
      } else {
        bytes[at] = *rc::gen::arbitrary<char>();
      }
    }
    try {
      const auto array = parse_npy(std::as_bytes(std::span(bytes)), "damaged.npy");
      const auto width = static_cast<std::int64_t>(array.type.back() - '0') % 10;
      RC_ASSERT(array.type == "c16" || std::ssize(array.bytes) == array.count() * width);
      ++n_read;
    } catch (const Error& error) {
      RC_ASSERT(error.kind() == ErrorKind::data);
      RC_ASSERT(error.message().find("damaged.npy") != std::string::npos);
      ++n_refused;
    }
  }));
  EXPECT_GT(n_read, 0);
  EXPECT_GT(n_refused, 0);
}

template <class T>
void expect_hdf5_round_trip() {
  const TemporaryFolder folder;
  EXPECT_TRUE(holds(15, [&] {
    const auto shape = any_shape();
    const auto values = any_values<T>(count_of(shape));
    const auto texts = *rc::gen::container<std::vector<std::string>>(testing::any_text());
    const auto number = *rc::gen::arbitrary<std::int64_t>();
    const auto note = *testing::any_text();
    {
      auto file = Hdf5File::create(folder / "x.h5");
      file.write<T>("/deep/er/values", values, shape);
      file.write_text("/deep/texts", texts);
      file.set_attribute("/deep", "number", number);
      file.set_attribute("/deep/er/values", "note", note);
      file.reserve<T>("/parts", shape);
      const auto rows = shape[0];
      const auto width = rows == 0 ? 0 : values.size() / static_cast<std::size_t>(rows);
      for (std::int64_t row = rows - 1; row >= 0; --row) {
        file.write_rows<T>("/parts", row, std::span(values).subspan(static_cast<std::size_t>(row) * width, width));
      }
      file.flush();
    }
    const auto file = Hdf5File::open(folder / "x.h5");
    RC_ASSERT(file.describe("/deep/er/values").shape == shape);
    RC_ASSERT(same_bytes<T>(file.read<T>("/deep/er/values"), values));
    RC_ASSERT(same_bytes<T>(file.read<T>("/parts"), values));
    RC_ASSERT(file.read_text("/deep/texts") == texts);
    RC_ASSERT(file.attribute_integer("/deep", "number") == number);
    RC_ASSERT(file.attribute_text("/deep/er/values", "note") == note);
  }));
}

TEST(Hdf5Property, ArraysTextsAndAttributesReadBack) {
  expect_hdf5_round_trip<float>();
  expect_hdf5_round_trip<double>();
  expect_hdf5_round_trip<std::int8_t>();
  expect_hdf5_round_trip<std::uint8_t>();
  expect_hdf5_round_trip<std::int16_t>();
  expect_hdf5_round_trip<std::int32_t>();
  expect_hdf5_round_trip<std::int64_t>();
}

// A dataset as it was meant to be.
struct MeantDataset {
  DatasetPlan plan;
  FeaturePlan features{{"pitch", R"({"hop":160})"}, 0, {}};
  std::vector<std::vector<float>> waves, rows;  // of each clip
};

MeantDataset any_dataset() {
  MeantDataset meant;
  meant.plan.sample_rate_hz = *rc::gen::element<std::int64_t>(16000, 40000, 44100);
  meant.plan.parameters = R"({"slicer":"silence"})";
  meant.plan.tool_version = "0.1.0";
  meant.plan.storage = *rc::gen::element(WaveStorage::int16, WaveStorage::float32);
  const int n_speakers = *rc::gen::inRange(1, 4);
  for (int i = 0; i < n_speakers; ++i) meant.plan.speakers.push_back("speaker " + std::to_string(i));
  const int n_clips = *rc::gen::inRange(1, 8);
  meant.features.width = *rc::gen::inRange<std::int64_t>(1, 5);
  for (int i = 0; i < n_clips; ++i) {
    Clip clip;
    clip.recording = "take" + std::to_string(*rc::gen::inRange(0, 3)) + ".wav";
    clip.recording_offset = *rc::gen::inRange<std::int64_t>(0, 100000);
    clip.speaker = *rc::gen::inRange(0, n_speakers);
    clip.length = *rc::gen::inRange<std::int64_t>(1, 3000);
    clip.split = static_cast<Split>(clip.recording[4] - '0');  // a recording lies in one split
    std::vector<float> wave;
    testing::Lcg random(static_cast<std::uint32_t>(*rc::gen::arbitrary<std::uint32_t>()));
    for (std::int64_t n = 0; n < clip.length; ++n) wave.push_back(static_cast<float>(1.1 * random.next()));
    meant.features.frames.push_back(n_feature_frames(clip.length, meant.plan.sample_rate_hz));
    meant.rows.push_back(
        any_values<float>(static_cast<std::size_t>(meant.features.frames.back() * meant.features.width)));
    meant.waves.push_back(std::move(wave));
    meant.plan.clips.push_back(clip);
  }
  return meant;
}

void write(const std::filesystem::path& path, const MeantDataset& meant) {
  write_dataset(path, meant.plan, [&](DatasetWriter& writer) {
    writer.begin_features(meant.features);
    for (auto clip = std::ssize(meant.waves) - 1; clip >= 0; --clip) {
      writer.write_wave(clip, meant.waves[static_cast<std::size_t>(clip)]);
      writer.write_features(meant.features.key, clip, meant.rows[static_cast<std::size_t>(clip)]);
    }
  });
}

TEST(DatasetProperty, ClipsWavesAndFeaturesReadBackAndEqualContentGivesEqualBytes) {
  const TemporaryFolder folder;
  EXPECT_TRUE(holds(25, [&] {
    const auto meant = any_dataset();
    write(folder / "a.h5", meant);
    write(folder / "b.h5", meant);
    RC_ASSERT(read_file(folder / "a.h5") == read_file(folder / "b.h5"));
    const auto dataset = Dataset::open(folder / "a.h5");
    RC_ASSERT(dataset.speakers() == meant.plan.speakers);
    RC_ASSERT(dataset.clips().size() == meant.plan.clips.size());
    for (std::size_t i = 0; i < meant.waves.size(); ++i) {
      const auto &clip = dataset.clips()[i], &wanted = meant.plan.clips[i];
      RC_ASSERT(clip.recording == wanted.recording && clip.recording_offset == wanted.recording_offset);
      RC_ASSERT(clip.speaker == wanted.speaker && clip.length == wanted.length && clip.split == wanted.split);
      auto wave = meant.waves[i];
      if (meant.plan.storage == WaveStorage::int16) {
        for (auto& sample : wave) sample = static_cast<float>(to_int16(sample)) / 32768;
      }
      RC_ASSERT(dataset.wave(clip) == wave);
      const auto features = dataset.features(meant.features.key, clip);
      RC_ASSERT(features.n_frames == meant.features.frames[i] && features.width == meant.features.width);
      RC_ASSERT(same_bytes<float>(features.values, meant.rows[i]));
    }
  }));
}

}  // namespace
}  // namespace melisma
