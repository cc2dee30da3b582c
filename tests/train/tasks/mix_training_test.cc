// Training of a tiny mixing model on songs that were mixed by rule.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/sets/dataset_writer.h"
#include "tests/support/refusal.h"
#include "tests/train/engine/tiny_gan.h"
#include "tools/base/seed.h"
#include "tools/config/config.h"
#include "train/tasks/mix_loader.h"
#include "train/tasks/mix_recipe.h"
#include "train/tasks/mix_task.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::same_bits;
using testing::TemporaryFolder;

constexpr std::int64_t kMixRate = 44100, kSongFrames = 50000;

Waveform mono_noise(std::uint64_t seed, double loud, double hz) {
  RandomSource random(seed);
  Waveform wave{std::vector<float>(kSongFrames), 1, kMixRate};
  for (std::size_t i = 0; i < wave.samples.size(); ++i) {
    const double tone = std::sin(2 * 3.141592653589793 * hz * static_cast<double>(i) / kMixRate);
    wave.samples[i] = static_cast<float>(loud * (.5 * tone + .3 * (2 * random.uniform() - 1)));
  }
  return wave;
}

// Songs of a voice (loud and centred in the mix), a bass (left) and stereo keys (as they are); the last song is held
// out.
std::shared_ptr<const Dataset> songs_of_rule(const fs::path& path, std::int64_t n_songs = 4, bool is_mixed = true) {
  DatasetPlan plan;
  plan.sample_rate_hz = kMixRate;
  plan.parameters = R"({"kind":"multitrack"})";
  plan.tool_version = "0";
  plan.storage = WaveStorage::float32;
  for (std::int64_t i = 0; i < n_songs; ++i) {
    const auto name = "song" + std::to_string(i);
    Song song{.name = name,
              .split = i + 1 < n_songs ? Split::train : Split::validation,
              .tracks = {{.name = "bass", .recording = name + "/bass.wav", .length = kSongFrames},
                         {.name = "keys", .recording = name + "/keys.wav", .n_channels = 2, .length = kSongFrames},
                         {.name = "voice", .recording = name + "/voice.wav", .length = kSongFrames}}};
    if (is_mixed) {
      song.mix = Track{.name = "mix", .recording = name + "/mix.wav", .n_channels = 2, .length = kSongFrames};
    }
    plan.songs.push_back(song);
  }
  auto songs = plan.songs;
  number_songs(songs);
  write_dataset(path, plan, [&](DatasetWriter& writer) {
    for (std::size_t i = 0; i < songs.size(); ++i) {
      const auto bass = mono_noise(10 * i, .3, 80),
                 voice = mono_noise(10 * i + 1, .3, 500 + 50.0 * static_cast<double>(i));
      Waveform keys = mono_noise(10 * i + 2, .2, 900), mix = keys;
      const auto right = mono_noise(10 * i + 3, .2, 1100);
      keys.n_channels = mix.n_channels = 2;
      keys.samples.insert(keys.samples.end(), right.samples.begin(), right.samples.end());
      mix.samples = keys.samples;
      for (std::size_t k = 0; k < kSongFrames; ++k) {
        mix.samples[k] += bass.samples[k] + 1.5F * voice.samples[k];
        mix.samples[kSongFrames + k] += 1.5F * voice.samples[k];
      }
      const Waveform* waves[] = {&bass, &keys, &voice};
      for (std::size_t t = 0; t < 3; ++t) writer.write_track(songs[i].tracks[t], *waves[t]);
      if (songs[i].mix) writer.write_track(*songs[i].mix, mix);
    }
  });
  return std::make_shared<const Dataset>(Dataset::open(path, DatasetKind::multitrack));
}

const std::vector<std::string> kTinyMix{"model.channels=4",           "model.blocks=3",
                                        "model.mel.n_fft=1024",       "model.mel.n_mels=24",
                                        "model.transformer.width=16", "model.transformer.layers=1",
                                        "model.transformer.heads=2",  "data.batch_size=2",
                                        "data.excerpt_samples=29696", "data.excerpts_per_epoch=6",
                                        "data.max_tracks=4",          "optimizer.lr=0.003",
                                        "validation.excerpts=1",      "validation.samples=0"};

struct MixRun {
  MixRecipe recipe;
  ComposedTask composed;
  testing::RecordingSink sink;
  std::unique_ptr<Trainer> trainer;

  MixRun(const std::shared_ptr<const Dataset>& dataset, const std::vector<std::string>& more = {}) {
    auto settings = kTinyMix;
    settings.insert(settings.end(), more.begin(), more.end());
    auto schema = recipe.schema();
    configure(schema, std::nullopt, settings);
    composed = recipe.compose({.dataset = dataset});
  }
  [[nodiscard]] MixTask& task() { return dynamic_cast<MixTask&>(*composed.task); }
  void train(const fs::path& folder, std::int64_t epochs, bool resumes = false) {
    auto plan = composed.plan;
    plan.trainer.epochs = epochs;
    plan.checkpoint_folder = folder;
    plan.run = "tiny";
    trainer.reset();
    trainer = std::make_unique<Trainer>(*composed.task, *composed.loader, plan, sink);
    if (resumes) trainer->resume();
    (void)trainer->run();
  }
};

}  // namespace

TEST(MixTraining, TheHeldOutLossFallsAndIsShownBesideThatOfAnEqualGainMix) {
  const TemporaryFolder folder;
  const auto dataset = songs_of_rule(folder / "songs.h5");
  MixRun run(dataset);
  run.train(folder / "run", 4);
  const auto losses = run.sink.values("validation/mix_loss"), plain = run.sink.values("validation/equal_gain_loss");
  ASSERT_GE(losses.size(), 4u);
  EXPECT_LT(losses.back(), losses.front());
  EXPECT_GT(plain.front(), 0);
  EXPECT_EQ(plain.front(), plain.back());
  EXPECT_FALSE(run.sink.values("validation/sum_difference").empty());
}

TEST(MixTraining, TwoEpochsAreOneAndAResumeBitForBit) {
  const TemporaryFolder folder;
  const auto dataset = songs_of_rule(folder / "songs.h5");
  for (const std::string family : {"transformer", "wave-u-net"}) {
    SCOPED_TRACE(family);
    const std::vector<std::string> more{"model.family=" + family, "model.wave_unet.tracks=4",
                                        "model.wave_unet.levels=3", "model.wave_unet.growth=4",
                                        "model.wave_unet.kernel=5"};
    MixRun straight(dataset, more), first(dataset, more), second(dataset, more);
    straight.train(folder / (family + "-straight"), 2);
    first.train(folder / (family + "-halves"), 1);
    first.trainer.reset();
    second.train(folder / (family + "-halves"), 2, true);
    EXPECT_TRUE(same_bits(straight.task().model().state_dict(), second.task().model().state_dict()));
  }
}

TEST(MixTraining, SharesOfABatchMakeTheLossOfTheWhole) {
  const TemporaryFolder folder;
  const auto dataset = songs_of_rule(folder / "songs.h5");
  MixRun run(dataset, {"data.batch_size=3", "losses.lufs=0.01"});
  const c10::NoGradGuard no_grad;
  const auto& settings = run.recipe.settings();
  const auto songs = dataset->songs_of(Split::train);
  const StepContext context(1, 1, 0, 0);
  const auto whole = MixLoader(dataset, settings, songs).batch(1, 0);
  const auto expected = run.task().losses(0, whole, context).total.item<double>();
  double sum = 0;
  for (const std::int64_t rank : {0, 1}) {
    const auto share = MixLoader(dataset, settings, songs, {rank, 2}).batch(1, 0);
    EXPECT_TRUE(at::equal(share.at("tracks"), whole.at("tracks").narrow(0, share.first_item, share.n_items)));
    EXPECT_EQ(share.n_items_all, 3);
    sum += run.task().losses(0, share, context).total.item<double>() * static_cast<double>(share.n_items) / 3;
  }
  EXPECT_NEAR(sum, expected, 1e-5 * expected);
}

TEST(MixLoader, ABatchIsAFunctionOfItsPlaceAndEverySongComesBeforeOneComesAgain) {
  const TemporaryFolder folder;
  const auto dataset = songs_of_rule(folder / "songs.h5");
  MixRun run(dataset, {"data.batch_size=3", "data.reference_share=1", "data.random_gain_db=0"});
  const auto& settings = run.recipe.settings();
  const auto songs = dataset->songs_of(Split::train);
  const MixLoader loader(dataset, settings, songs), again(dataset, settings, songs);
  EXPECT_EQ(loader.n_batches(1), 2);
  (void)again.batch(2, 1);
  const auto batch = loader.batch(1, 1), same = again.batch(1, 1), other = loader.batch(2, 1);
  for (const auto* name : {"tracks", "present", "mix", "reference"})
    EXPECT_TRUE(at::equal(batch.at(name), same.at(name)));
  EXPECT_FALSE(at::equal(batch.at("tracks"), other.at("tracks")));
  ASSERT_EQ(batch.at("tracks").sizes(), at::IntArrayRef({3, 4, 29696}));
  EXPECT_TRUE(batch.at("present").all().item<bool>());
  // Without changed levels the mix is that of the rule: bass left, keys as they are, the voice in the middle.
  const auto tracks = batch.at("tracks"), mix = batch.at("mix");
  const auto left = tracks.select(1, 0) + tracks.select(1, 1) + 1.5 * tracks.select(1, 3);
  EXPECT_LT((mix.select(1, 0) - left).abs().max().item<double>(), 1e-5);
  for (std::int64_t a = 0; a < 3; ++a) {
    for (std::int64_t b = 0; b < a; ++b) EXPECT_FALSE(at::equal(mix[a], mix[b]));
  }
}

TEST(MixLoader, TracksBeyondTheMostAreAddedUpInTheLast) {
  const TemporaryFolder folder;
  const auto dataset = songs_of_rule(folder / "songs.h5");
  const auto& song = dataset->songs().front();
  const auto all = excerpt_of(*dataset, song, 100, 1000, 16), few = excerpt_of(*dataset, song, 100, 1000, 2);
  ASSERT_EQ(all.tracks.size(0), 4);
  ASSERT_EQ(few.tracks.size(0), 2);
  EXPECT_TRUE(at::equal(few.tracks[0], all.tracks[0]));
  EXPECT_LT((few.tracks[1] - all.tracks.narrow(0, 1, 3).sum(0)).abs().max().item<double>(), 1e-6);
}

TEST(MixLoader, GainsStayWithinTheirRange) {
  const TemporaryFolder folder;
  const auto dataset = songs_of_rule(folder / "songs.h5");
  MixRun plain(dataset, {"data.random_gain_db=0"}), loud(dataset, {"data.random_gain_db=6"});
  const auto songs = dataset->songs_of(Split::train);
  const auto as_they_are = MixLoader(dataset, plain.recipe.settings(), songs).batch(1, 0).at("tracks");
  const auto changed = MixLoader(dataset, loud.recipe.settings(), songs).batch(1, 0).at("tracks");
  const auto gains_db = 20 * (changed.norm(2, {2}) / as_they_are.norm(2, {2})).log10();
  EXPECT_LE(gains_db.abs().max().item<double>(), 6.001);
  EXPECT_GT(gains_db.std().item<double>(), .5);
}

TEST(MixRecipe, WhatDoesNotFitIsNamedBeforeTheFirstStep) {
  const TemporaryFolder folder;
  const auto dataset = songs_of_rule(folder / "songs.h5"), unmixed = songs_of_rule(folder / "raw.h5", 4, false);
  const auto refusal = [&](ErrorKind kind, const std::shared_ptr<const Dataset>& data, const std::string& setting) {
    return testing::refusal_of(kind, [&] { (void)MixRun(data, {setting}); });
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(refusal(ErrorKind::data, unmixed, "data.batch_size=2"), HasSubstr("finished mix"));
  EXPECT_THAT(refusal(ErrorKind::data, dataset, "model.sample_rate_hz=48000"), HasSubstr("48000"));
  EXPECT_THAT(refusal(ErrorKind::config, dataset, "data.excerpt_samples=9000"), HasSubstr("16385"));
  EXPECT_THAT(refusal(ErrorKind::config, dataset, "trainer.precision=bf16"), HasSubstr("fp32"));
  EXPECT_THAT(refusal(ErrorKind::config, dataset, "losses.parameters=1"), HasSubstr("losses.parameters"));
  EXPECT_THAT(refusal(ErrorKind::config, dataset, "model.family=wave-u-net"), HasSubstr("multiple of 4096"));
}

TEST(ShippedConfigs, MixingModelsAreUnderstood) {
  int n_seen = 0;
  for (const auto& item : fs::directory_iterator(testing::source_folder() / "experiments/configs/mix")) {
    SCOPED_TRACE(item.path());
    MixRecipe recipe;
    auto schema = recipe.schema();
    configure(schema, item.path(), {});
    const auto& settings = recipe.settings();
    if (item.path().stem() == "wave-u-net") {
      EXPECT_EQ(make_mix_model(settings.model)->n_parameters(), 17833426);
      EXPECT_EQ(settings.data.excerpt_samples % 4096, 0);
    }
    if (item.path().stem() == "tiny") {
      EXPECT_LT(make_mix_model(settings.model)->n_parameters(), 100000);
    }
    ++n_seen;
  }
  EXPECT_EQ(n_seen, 6);
}

}  // namespace melisma
