#include "train/tasks/rvc_loader.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/sets/dataset_writer.h"
#include "data/signal/mel.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/error.h"
#include "tools/config/config.h"
#include "train/tasks/rvc_recipe.h"
#include "train/tasks/rvc_task.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using ::testing::StartsWith;

Clip clip_of_frames(std::int64_t index, std::int64_t frames) {
  Clip clip;
  clip.index = index;
  clip.recording = "take.wav";
  clip.length = frames * 400;
  return clip;
}

RvcPieces pieces_of(const std::vector<std::int64_t>& frames, const RvcSettings& settings) {
  std::vector<Clip> clips;
  for (const auto n : frames) clips.push_back(clip_of_frames(std::ssize(clips), n));
  return cut_into_pieces(clips, settings);
}

TEST(RvcPieces, LongClipsAreCutEquallyAndNothingIsLost) {
  const RvcSettings settings;
  const auto all = pieces_of({20, 900, 901, 2500}, settings);
  EXPECT_EQ(all.n_clips, 4);
  EXPECT_EQ(all.n_cut, 2);
  EXPECT_EQ(all.n_padded, 1);
  EXPECT_EQ(all.n_frames, 20 + 900 + 901 + 2500);
  ASSERT_EQ(all.pieces.size(), 1u + 1 + 2 + 3);
  std::int64_t total = 0;
  for (const auto& piece : all.pieces) {
    EXPECT_LE(piece.n_frames, 900);
    total += piece.n_frames;
  }
  EXPECT_EQ(total, all.n_frames);
}

TEST(RvcPieces, AClipWithoutAFrameIsNamed) {
  auto clip = clip_of_frames(3, 1);
  clip.length = 399;
  try {
    (void)cut_into_pieces({clip}, {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "clip 3 of 'take.wav' has 399 samples: less than one frame of 400");
  }
}

TEST(RvcLoader, EachPieceComesOnceAnEpochAmongNeighboursInLength) {
  RvcSettings settings;
  settings.data.batch_size = 4;
  std::vector<std::int64_t> frames;
  for (std::int64_t i = 0; i < 41; ++i) frames.push_back(40 + (i * 37) % 800);
  const RvcLoader loader(nullptr, settings, pieces_of(frames, settings));
  ASSERT_EQ(loader.n_batches(1), 11);
  std::multiset<std::size_t> seen;
  std::int64_t mixed = 0;
  for (std::int64_t i = 0; i < 11; ++i) {
    const auto members = loader.members(1, i);
    seen.insert(members.begin(), members.end());
    std::set<std::int64_t> buckets;
    for (const auto m : members) buckets.insert(frames[m] / settings.data.bucket_frames);
    EXPECT_LE(*buckets.rbegin() - *buckets.begin(), 1);
    mixed += buckets.size() > 1 ? 1 : 0;
  }
  EXPECT_EQ(seen.size(), frames.size());
  EXPECT_EQ(std::set<std::size_t>(seen.begin(), seen.end()).size(), frames.size());
  EXPECT_LE(mixed, 8) << "at most one batch spans each border between buckets";
}

TEST(RvcLoader, TheOrderIsAFunctionOfTheEpoch) {
  const RvcSettings settings;
  const auto pieces = pieces_of({40, 50, 60, 70, 80, 90, 100, 110, 120, 130}, settings);
  const RvcLoader one(nullptr, settings, pieces), other(nullptr, settings, pieces);
  const auto late = one.members(7, 1);
  (void)other.members(3, 0);
  EXPECT_EQ(other.members(7, 1), late);
  bool differs = false;
  for (std::int64_t i = 0; i < one.n_batches(1); ++i) differs |= one.members(1, i) != one.members(2, i);
  EXPECT_TRUE(differs);
}

const std::vector<std::int64_t> kTwoLengths{20, 50};  // frames

RvcSettings settings_of_two() {
  RvcSettings settings;
  settings.data.batch_size = 2;
  settings.model.content_channels = content_width(settings.content);
  return settings;
}

// Clip i of speaker i is kTwoLengths[i] frames of 0.25 (i + 1), its pitch 100 times that.
std::shared_ptr<const Dataset> dataset_of_two(const std::filesystem::path& path, const RvcSettings& settings) {
  DatasetPlan plan{.sample_rate_hz = 40000, .parameters = "{}", .tool_version = "0", .speakers = {"ann", "bob"}};
  for (std::int64_t i = 0; i < 2; ++i) {
    plan.clips.push_back(clip_of_frames(i, kTwoLengths[static_cast<std::size_t>(i)]));
    plan.clips.back().recording = std::to_string(i) + ".wav";
    plan.clips.back().speaker = i;
  }
  const auto width = content_width(settings.content);
  write_dataset(path, plan, [&](DatasetWriter& writer) {
    const FeaturePlan content{key_of(settings.content), width, kTwoLengths},
        pitch{key_of(settings.pitch), 1, kTwoLengths};
    writer.begin_features(content);
    writer.begin_features(pitch);
    for (std::int64_t i = 0; i < 2; ++i) {
      const auto n = kTwoLengths[static_cast<std::size_t>(i)];
      const auto level = 0.25f * static_cast<float>(i + 1);
      writer.write_wave(i, std::vector<float>(static_cast<std::size_t>(n * 400), level));
      writer.write_features(content.key, i, std::vector<float>(static_cast<std::size_t>(n * width), level));
      writer.write_features(pitch.key, i, std::vector<float>(static_cast<std::size_t>(n), 100.0f * level));
    }
  });
  return std::make_shared<const Dataset>(Dataset::open(path));
}

TEST(RvcLoader, ABatchHoldsEachClipsOwnNumbersPaddedWithSilence) {
  const testing::TemporaryFolder folder;
  const auto settings = settings_of_two();
  const auto width = content_width(settings.content);
  const auto dataset = dataset_of_two(folder / "two.h5", settings);
  const RvcLoader loader(dataset, settings, cut_into_pieces(dataset->clips(), settings));
  const auto batch = loader.batch(1, 0);
  const auto members = loader.members(1, 0);
  ASSERT_EQ(batch.n_items, 2);
  EXPECT_EQ(batch.at("content").sizes(), (std::vector<std::int64_t>{2, 64, width}));
  EXPECT_EQ(batch.at("wave").sizes(), (std::vector<std::int64_t>{2, 1, 64 * 400}));
  EXPECT_EQ(batch.at("spectrum").sizes(), (std::vector<std::int64_t>{2, 1025, 64}));
  for (std::int64_t row = 0; row < 2; ++row) {
    const auto clip = static_cast<std::int64_t>(members[static_cast<std::size_t>(row)]);
    const auto n = kTwoLengths[static_cast<std::size_t>(clip)];
    const double level = 0.25 * static_cast<double>(clip + 1);
    EXPECT_EQ(batch.at("lengths")[row].item<std::int64_t>(), n);
    EXPECT_EQ(batch.at("speaker")[row].item<std::int64_t>(), clip);
    EXPECT_NEAR(batch.at("wave")[row].sum().item<double>(), level * static_cast<double>(n) * 400, 1);
    EXPECT_NEAR(batch.at("f0")[row].sum().item<double>(), 100 * level * static_cast<double>(n), 1e-2);
    EXPECT_EQ(batch.at("spectrum")[row].slice(1, n).abs().sum().item<double>(), 0);
    EXPECT_EQ(batch.at("content")[row].slice(0, n).abs().sum().item<double>(), 0);
  }
}

TEST(RvcLoader, ShardsAreTheRowsOfTheWholeBatch) {
  const testing::TemporaryFolder folder;
  const auto settings = settings_of_two();
  const auto dataset = dataset_of_two(folder / "two.h5", settings);
  const auto pieces = cut_into_pieces(dataset->clips(), settings);
  const auto whole = RvcLoader(dataset, settings, pieces).batch(3, 0);
  for (std::int64_t rank = 0; rank < 3; ++rank) {  // the third rank has nothing to do
    const auto part = RvcLoader(dataset, settings, pieces, {rank, 3}).batch(3, 0);
    EXPECT_EQ(part.of_all(), 2);
    EXPECT_EQ(part.n_items, rank < 2 ? 1 : 0);
    EXPECT_TRUE(at::equal(part.at("all_lengths"), whole.at("lengths")));
    for (const auto& item : whole.items()) {
      EXPECT_TRUE(at::equal(part.at(item.name), item.tensor.narrow(0, part.first_item, part.n_items))) << item.name;
    }
  }
}

TEST(RvcLoader, KeptPiecesAreMadeOnceAndGiveTheSameBatches) {
  const testing::TemporaryFolder folder;
  const auto settings = settings_of_two();
  const auto dataset = dataset_of_two(folder / "two.h5", settings);
  const auto pieces = cut_into_pieces(dataset->clips(), settings);
  const RvcPieceStore reading(dataset, settings, pieces, {}), keeping(dataset, settings, pieces, at::kCPU);
  EXPECT_NE(reading.tensors(1).wave.const_data_ptr(), reading.tensors(1).wave.const_data_ptr());
  EXPECT_EQ(keeping.tensors(1).wave.const_data_ptr(), keeping.tensors(1).wave.const_data_ptr());
  const RvcLoader plain(dataset, settings, pieces), kept(dataset, settings, pieces, {}, at::kCPU);
  for (const std::int64_t epoch : {1, 2}) {
    const auto expected = plain.batch(epoch, 0), made = kept.batch(epoch, 0);
    for (const auto& item : expected.items()) EXPECT_TRUE(at::equal(made.at(item.name), item.tensor)) << item.name;
  }
}

TEST(RvcPieces, AreKeptWhereTheyFit) {
  auto settings = settings_of_two();
  RvcPieces little{.n_frames = 100}, much{.n_frames = std::int64_t{1} << 40};
  const auto bytes_a_frame = 4 * (settings.model.content_channels + 1 + 400 + 1025) + 8;
  EXPECT_EQ(size_in_bytes(little, settings), 100 * bytes_a_frame);
  EXPECT_EQ(place_to_keep(little, settings, at::kCPU, 1), at::kCPU);
  EXPECT_EQ(place_to_keep(much, settings, at::kCPU, 1), std::nullopt);
  settings.data.keep = "off";
  EXPECT_EQ(place_to_keep(little, settings, at::kCPU, 1), std::nullopt);
  settings.data.keep = "on";
  EXPECT_EQ(place_to_keep(little, settings, at::kCPU, 2), at::kCPU);
  EXPECT_THAT(testing::refusal_of(ErrorKind::config, [&] { (void)place_to_keep(much, settings, at::kCPU, 2); }),
              AllOf(StartsWith("data.keep is on, but the training clips take "),
                    HasSubstr(" are free on CPU for each process; set data.keep to auto")));
}

TEST(RvcRecipe, APresetKeepsWhatIsChosenWhateverTheOrder) {
  for (const bool preset_first : {true, false}) {
    RvcRecipe recipe;
    auto schema = recipe.schema();
    std::vector<std::string> overrides{"model.hidden_channels=64", "preset=v2-48k"};
    if (preset_first) std::swap(overrides[0], overrides[1]);
    configure(schema, std::nullopt, overrides);
    EXPECT_EQ(recipe.settings().model.hidden_channels, 64);
    EXPECT_EQ(recipe.settings().model.hop, 480);
    EXPECT_EQ(recipe.settings().model.content_channels, content_width(recipe.settings().content));
  }
}

TEST(RvcRecipe, ContentChannelsFollowTheFeatures) {
  RvcRecipe recipe;
  auto schema = recipe.schema();
  const std::vector<std::string> wrong{"model.content_channels=5"};
  EXPECT_THROW(configure(schema, std::nullopt, wrong), Error);
}

TEST(RvcTask, HeldOutClipsAreSpreadEvenly) {
  std::vector<Clip> clips;
  for (std::int64_t i = 0; i < 10; ++i) clips.push_back(clip_of_frames(i, 10));
  const auto some = spread(clips, 4);
  ASSERT_EQ(some.size(), 4u);
  EXPECT_EQ(some[0].index, 0);
  EXPECT_EQ(some[1].index, 2);
  EXPECT_EQ(some[3].index, 7);
  EXPECT_EQ(spread(clips, 0).size(), 10u);
  EXPECT_EQ(spread(clips, 20).size(), 10u);
}

}  // namespace
}  // namespace melisma
