// Songs mixed in a stream, sheets and what people change in them, and descent towards a reference.
#include "infer/mixdown/mixdown.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "infer/mixdown/refine.h"
#include "infer/mixdown/sheet_source.h"
#include "models/mix/audio_features.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/seed.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::refusal_of;

constexpr std::int64_t kMixdownRate = 44100;

Waveform tone_and_noise(std::uint64_t seed, double hz, double loud, std::int64_t n, std::int64_t channels = 1,
                        std::int64_t rate = kMixdownRate) {
  RandomSource random(seed);
  Waveform wave{std::vector<float>(static_cast<std::size_t>(channels * n)), channels, rate};
  for (std::size_t i = 0; i < wave.samples.size(); ++i) {
    const auto t = static_cast<double>(i % static_cast<std::size_t>(n)) / static_cast<double>(rate);
    wave.samples[i] =
        static_cast<float>(loud * (.5 * std::sin(6.283185307 * hz * t) + .4 * (2 * random.uniform() - 1)));
  }
  return wave;
}

// A song of a mono voice and stereo keys, the voice longer than two blocks of the stream.
struct Song {
  testing::TemporaryFolder folder;
  std::vector<fs::path> files;
  explicit Song(std::int64_t n = 80000) {
    write("voice", tone_and_noise(1, 440, .3, n));
    write("keys", tone_and_noise(2, 900, .1, n - 5000, 2));
  }
  void write(const std::string& name, const Waveform& wave) {
    files.push_back(folder / (name + ".wav"));
    write_audio(files.back(), wave, "wav32f");
  }
  [[nodiscard]] StemStore stems() const { return StemStore(files, kMixdownRate); }
};

at::Tensor played(const StemStore& stems, const MixSheet& sheet) {
  std::vector<at::Tensor> blocks;
  play_sheet(stems, sheet, [&](const Waveform& block) {
    blocks.push_back(at::from_blob(const_cast<float*>(block.samples.data()), {2, block.n_frames()}).clone());
  });
  return at::cat(blocks, 1);
}

MixSheet busy_sheet(const StemStore& stems) {
  auto sheet = neutral_sheet(stems.names(), kMixdownRate);
  for (const auto* change :
       {"voice.fader_db=-3", "voice.band1_gain_db=5", "voice.threshold_db=-30", "voice.ratio=4", "voice.attack_ms=12",
        "voice.pan=0.2", "voice.send_db=-6", "keys.high_shelf_gain_db=-4", "keys.left.pan=0.1", "keys.right.pan=0.9",
        "keys.makeup_db=2", "master.threshold_db=-25", "master.ratio=2", "master.attack_ms=20",
        "master.low_shelf_gain_db=3", "master.low_shelf_hz=400", "master.output_db=-1"}) {
    change_sheet(sheet, change);
  }
  return sheet;
}

}  // namespace

TEST(Mixdown, AStreamMakesWhatTheConsoleMakes) {
  const Song song;
  const auto stems = song.stems();
  auto sheet = busy_sheet(stems);
  for (const bool has_room : {false, true}) {
    SCOPED_TRACE(has_room);
    if (has_room) sheet.reverb.assign(kReverbParameters.size(), .4);
    const auto expected =
        Console(kMixdownRate)
            .mix_in_time(excerpt_of_stems(stems, 0, stems.n_frames()).to(at::kDouble), controls_of(sheet))[0];
    const auto got = played(stems, sheet);
    ASSERT_EQ(got.sizes(), expected.sizes());
    EXPECT_LT((got - expected).abs().max().item<double>(), 1e-4 * expected.abs().max().item<double>());
  }
}

TEST(Mixdown, TheOtherPanLawToo) {
  const Song song;
  const auto stems = song.stems();
  auto sheet = neutral_sheet(stems.names(), kMixdownRate);
  sheet.is_constant_power = true;
  const auto mix = played(stems, sheet);
  const auto sum = excerpt_of_stems(stems, 0, stems.n_frames())[0].sum(0) * std::sqrt(.5);
  EXPECT_LT((mix - sum).abs().max().item<double>(), 1e-5);
}

TEST(Mixdown, AModelOfWavesIsCrossedOverWithoutASeam) {
  const Song song(300000);
  const auto stems = song.stems();
  struct Sum final : MixModel {
    [[nodiscard]] MadeMix mix(const MixInput& input) const override {
      return {input.tracks.sum(1, true).expand({1, 2, input.tracks.size(2)}), {}};
    }
    [[nodiscard]] bool has_console() const override { return false; }
    [[nodiscard]] std::int64_t length_step() const override { return 4096; }
  };
  std::vector<at::Tensor> blocks;
  play_model(stems, Sum(), [&](const Waveform& block) {
    blocks.push_back(at::from_blob(const_cast<float*>(block.samples.data()), {2, block.n_frames()}).clone());
  });
  const auto mix = at::cat(blocks, 1);
  const auto sum = excerpt_of_stems(stems, 0, stems.n_frames())[0].sum(0);
  ASSERT_EQ(mix.size(1), sum.size(0));
  EXPECT_LT((mix[0] - sum).abs().max().item<double>(), 1e-5);
}

TEST(StemStore, ChannelsAreReadFromAnywhereAndResampled) {
  Song song(20000);
  song.write("slow", tone_and_noise(5, 300, .2, 10000, 1, 22050));
  const auto stems = song.stems();
  EXPECT_THAT(stems.names(), ::testing::ElementsAre("voice", "keys.left", "keys.right", "slow"));
  EXPECT_EQ(stems.channels()[3].n_frames, 20000);
  EXPECT_TRUE(stems.channels()[1].is_left && stems.channels()[2].is_right && !stems.channels()[0].is_left);
  const auto voice = tone_and_noise(1, 440, .3, 20000);
  std::vector<float> part(100);
  stems.read(0, 19950, part);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(part[i], i < 50 ? voice.samples[19950 + i] : 0);
  stems.read(0, -40, part);
  EXPECT_EQ(part[39], 0);
  EXPECT_EQ(part[40], voice.samples[0]);
}

TEST(StemStore, TwoStemsOfOneNameAreRefused) {
  Song song;
  fs::create_directory(song.folder / "more");
  song.files.push_back(song.folder / "more/voice.wav");
  write_audio(song.files.back(), tone_and_noise(1, 440, .3, 5000));
  EXPECT_THAT(refusal_of(ErrorKind::usage, [&] { (void)song.stems(); }), HasSubstr("'voice'"));
}

TEST(MixSheet, ChangesSetAddAndReachBothChannelsOrAll) {
  auto sheet = neutral_sheet({"voice", "keys.left", "keys.right"}, kMixdownRate);
  change_sheet(sheet, "keys.fader_db=+2");
  change_sheet(sheet, "keys.left.fader_db+=-5");
  change_sheet(sheet, "all.pan=0.25");
  change_sheet(sheet, "master.output_db=-3.5");
  EXPECT_EQ(sheet.tracks[1].values[0], -3);
  EXPECT_EQ(sheet.tracks[2].values[0], 2);
  EXPECT_EQ(sheet.tracks[0].values[0], 0);
  for (const auto& track : sheet.tracks) EXPECT_EQ(track.values[kTrackPan], .25);
  EXPECT_EQ(sheet.master[kMasterOutput], -3.5);
  EXPECT_EQ(sheet_json(sheet)["tracks"]["keys.right"]["fader_db"], 2);
  EXPECT_EQ(sheet_text(sheet),
            "parameter  voice  keys.left  keys.right  master\n"
            "fader_db                 -3           2\n"
            "pan         0.25       0.25        0.25       -\n"
            "output_db      -          -           -    -3.5\n");
  EXPECT_THAT(sheet_text(neutral_sheet({"voice"}, kMixdownRate)), HasSubstr("is neutral"));
}

TEST(MixSheet, WhatCannotBeChangedIsNamed) {
  auto sheet = neutral_sheet({"vocals", "drums"}, kMixdownRate);
  const auto refusal = [&](std::string_view change) {
    return refusal_of(ErrorKind::usage, [&] { change_sheet(sheet, change); });
  };
  EXPECT_THAT(refusal("vocls.fader_db=1"), HasSubstr("did you mean 'vocals'"));
  EXPECT_THAT(refusal("vocals.fader=1"), HasSubstr("did you mean 'fader_db'"));
  EXPECT_THAT(refusal("vocals.fader_db=60"), HasSubstr("-48 to 48"));
  EXPECT_THAT(refusal("vocals.fader_db+=49"), HasSubstr("-48 to 48"));
  EXPECT_THAT(refusal("vocals.fader_db=loud"), HasSubstr("no number"));
  EXPECT_THAT(refusal("vocals.fader_db"), HasSubstr("vocals.fader_db=-3"));
  EXPECT_THAT(refusal("fader_db=1"), HasSubstr("names no track"));
  EXPECT_THAT(refusal("reverb.level1=1"), HasSubstr("no reverb"));
  EXPECT_THAT(refusal("vocals.band4_hz=22000"), HasSubstr("21050"));
}

TEST(MixSheet, ControlsGoThereAndBack) {
  const Song song;
  const auto stems = song.stems();
  const auto sheet = busy_sheet(stems);
  const auto back = sheet_of(controls_of(sheet), stems, PanLaw::compromise);
  for (std::size_t i = 0; i < sheet.tracks.size(); ++i) {
    EXPECT_TRUE(testing::near_all(sheet.tracks[i].values, std::span<const double>(back.tracks[i].values), 1e-9));
  }
  EXPECT_TRUE(testing::near_all(sheet.master, std::span<const double>(back.master), 1e-9));
}

TEST(MixSheet, WithoutAModelStemsAreEquallyLoudAndStereoStaysWide) {
  const Song song;
  const auto stems = song.stems();
  const auto sheet = equal_loudness_sheet(stems);
  EXPECT_NEAR(stems.channels()[0].lufs + sheet.tracks[0].values[0],
              stems.channels()[1].lufs + sheet.tracks[1].values[0], 1e-9);
  EXPECT_EQ(sheet.tracks[0].values[kTrackPan], .5);
  EXPECT_EQ(sheet.tracks[1].values[kTrackPan], 0);
  EXPECT_EQ(sheet.tracks[2].values[kTrackPan], 1);
}

TEST(MixSheet, AModelsParametersAreTheMeanOverWhatItHears) {
  MixModelConfig config;
  config.channels = 4;
  config.blocks = 2;
  config.mel = {.n_fft = 512, .hop = 256, .n_mels = 16};
  config.transformer = {.width = 16, .layers = 1, .heads = 2};
  const auto model = make_mix_model(config);
  auto generator = at::detail::createCPUGenerator(3);
  model->initialise(generator);
  const Song song;
  const auto stems = song.stems();
  const auto sheet = predicted_sheet(*model, config, stems, {}, {.excerpts = 2, .excerpt_samples = 20000});
  const auto hear = [&](std::int64_t first) {
    return sheet_of(model->predict({.tracks = excerpt_of_stems(stems, first, 20000)}), stems, PanLaw::compromise);
  };
  const auto first = hear(15000), second = hear(45000);
  for (std::size_t i = 0; i < kTrackParameters.size(); ++i) {
    const double mean = (first.tracks[0].values[i] + second.tracks[0].values[i]) / 2;
    EXPECT_NEAR(sheet.tracks[0].values[i], mean, 1e-4 * std::abs(mean) + 1e-5);
  }
}

TEST(Refine, DescentComesNearerToTheReferenceAndNeverReturnsAWorseSheet) {
  const Song song(60000);
  const auto stems = song.stems();
  const auto sheet = equal_loudness_sheet(stems);
  const auto reference = tone_and_noise(9, 100, .8, 60000, 2);
  std::vector<double> seen;
  const RefineConfig config{.steps = 8, .excerpt_samples = 29696};
  const auto refined =
      refine_sheet(stems, sheet, reference, config, [&](std::int64_t, double loss) { seen.push_back(loss); });
  EXPECT_LT(refined.loss, refined.loss_before);
  EXPECT_GT(refined.best_step, 0);
  ASSERT_EQ(seen.size(), 8u);
  for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_LE(seen[i], seen[i - 1]);
  EXPECT_NE(refined.sheet.tracks[0].values[0], sheet.tracks[0].values[0]);
  const auto again = refine_sheet(stems, sheet, reference, config);
  EXPECT_EQ(again.loss, refined.loss);
  EXPECT_EQ(again.sheet.master, refined.sheet.master);
}

}  // namespace melisma
