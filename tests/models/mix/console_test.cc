// The mixing console against Diff-MST's numbers.
#include "models/mix/console.h"

#include "tests/models/mix/mix_golden.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {

constexpr std::int64_t kRate = 44100;

// The fixture's names of a parameter, effect and name within it.
double fixture_value(const nlohmann::json& denormalised, std::int64_t column, std::int64_t track, bool is_master) {
  static const std::vector<std::string> kBands{"low_shelf", "band0", "band1", "band2", "band3", "high_shelf"};
  static const std::vector<std::string> kParts{"_gain_db", "_cutoff_freq", "_q_factor"};
  static const std::vector<std::string> kCompressor{"threshold_db", "ratio",   "attack_ms",
                                                    "release_ms",   "knee_db", "makeup_gain_db"};
  const auto value = [&](const std::string& effect, const std::string& name) {
    return denormalised.at(effect).at(name)[static_cast<std::size_t>(track)].get<double>();
  };
  if (!is_master && column == 0) return value("input_fader", "gain_db");
  if (!is_master && column == kTrackPan) return value("stereo_panner", "pan");
  if (!is_master && column == kTrackSend) return value("fx_bus", "send_db");
  if (is_master && column == kMasterOutput) return value("output_fader", "gain_db");
  if (is_master && column == kMasterFader) return value("input_fader", "gain_db");
  const auto effect = static_cast<std::size_t>(is_master ? column : column - 1);
  if (effect < 18) return value("parametric_eq", kBands[effect / 3] + kParts[effect % 3]);
  return value("compressor", kCompressor[effect - 18]);
}

}  // namespace

TEST(GoldenConsole, MixTracksAndGradientsAreThoseOfDiffMst) {
  for (auto file : testing::golden_files("mixing", "console", ".json").files) {
    const auto fixture = testing::load_json(file);
    const auto golden = testing::GoldenFile::load(file.replace_extension(".safetensors"));
    std::vector<at::Tensor> rendered;
    for (const auto& recipe : fixture.at("tracks")) rendered.push_back(testing::rendered(recipe)[0]);
    const auto tracks = at::stack(rendered).unsqueeze(0);  // [1, 3, 8192]
    ConsoleControls controls{testing::leaf(testing::tensor_of(golden.at("track_params")).unsqueeze(0)),
                             testing::leaf(testing::tensor_of(golden.at("master_params")).unsqueeze(0)),
                             {}};
    const Console console(kRate);
    const auto processed = console.process_tracks(tracks, controls.tracks);
    const auto& expected_tracks = golden.at("tracks");
    const auto n = expected_tracks.shape.back();
    EXPECT_TRUE(testing::near_all(
        expected_tracks.values, testing::values_of(processed[0].transpose(0, 1).narrow(-1, 0, n).contiguous()), 1e-6));
    const auto mix = console.mix_processed(processed, controls);
    EXPECT_TRUE(testing::near_all(golden.at("mix").values, testing::values_of(mix), 1e-6));
    EXPECT_NEAR(mix.square().sum().item<double>(), fixture.at("mix_sumsq").get<double>(), 1e-9);
    const auto weights = testing::lcg_values(744, mix.sizes());
    EXPECT_NEAR((mix * weights).sum().item<double>(), fixture.at("loss_value").get<double>(), 1e-9);
    EXPECT_TRUE(testing::near_all(golden.at("grad_track_params").values,
                                  testing::gradient_of(mix, weights, controls.tracks), 1e-9, 1e-5));
    EXPECT_TRUE(testing::near_all(golden.at("grad_master_params").values,
                                  testing::gradient_of(mix, weights, controls.master), 1e-9, 1e-5));
  }
}

TEST(GoldenConsole, ParametersMeanWhatDiffMstMeansByThem) {
  for (auto file : testing::golden_files("mixing", "console", ".json").files) {
    const auto fixture = testing::load_json(file);
    const auto golden = testing::GoldenFile::load(file.replace_extension(".safetensors"));
    const auto parts = testing::tensor_of(golden.at("track_params"));
    const auto values = console_values(parts, kTrackParameters, kRate);
    for (std::int64_t track = 0; track < values.size(0); ++track) {
      for (std::int64_t column = 0; column < values.size(1); ++column) {
        const double expected = fixture_value(fixture.at("denormalised_tracks"), column, track, false);
        EXPECT_NEAR(values[track][column].item<double>(), expected, 1e-9 * std::abs(expected) + 1e-12)
            << kTrackParameters[static_cast<std::size_t>(column)].name;
      }
    }
    EXPECT_LT((console_parts(values, kTrackParameters, kRate) - parts).abs().max().item<double>(), 1e-12);
    const auto master = console_values(testing::tensor_of(golden.at("master_params")), kMasterParameters, kRate);
    for (std::int64_t column = 0; column < master.size(0); ++column) {
      const double expected = fixture_value(fixture.at("denormalised_master"), column, 0, true);
      EXPECT_NEAR(master[column].item<double>(), expected, 1e-9 * std::abs(expected) + 1e-12)
          << kMasterParameters[static_cast<std::size_t>(column)].name;
    }
  }
}

TEST(Console, NeutralControlsOnlyDelayAndCentre) {
  const auto tracks = testing::lcg_values(4, {2, 3, 6000}) * .2;
  const auto mix = Console(kRate).mix(tracks, neutral_controls(2, 3, kRate));
  const auto delay = kTrackLookahead + kMasterLookahead;
  const auto expected = tracks.sum(1).narrow(-1, 0, 6000 - delay) * std::sqrt(.5 * std::sqrt(.5));
  for (const int channel : {0, 1}) {
    EXPECT_LT((mix.select(1, channel).narrow(-1, delay, 6000 - delay) - expected).abs().max().item<double>(), 1e-9);
    EXPECT_EQ(mix.select(1, channel).narrow(-1, 0, kMasterLookahead).abs().max().item<double>(), 0);
  }
}

TEST(Console, TheOrderOfTracksDoesNotMatterAndAbsentOnesDoNotCount) {
  const auto tracks = testing::lcg_values(6, {1, 3, 5000}) * .2;
  const ConsoleControls controls{.5 + .45 * testing::lcg_values(7, {1, 3, 27}),
                                 .5 + .45 * testing::lcg_values(8, {1, 26}),
                                 .5 + .45 * testing::lcg_values(9, {1, 24})};
  const Console console(kRate, 0, 4096);
  const auto mix = console.mix(tracks, controls);
  const auto order = at::tensor({2, 0, 1}, at::kLong);
  auto turned = controls;
  turned.tracks = controls.tracks.index_select(1, order);
  EXPECT_LT((console.mix(tracks.index_select(1, order), turned) - mix).abs().max().item<double>(), 1e-9);
  const auto padded = at::cat({tracks, at::full({1, 2, 5000}, .7, at::kDouble)}, 1);
  auto more = controls;
  more.tracks = at::cat({controls.tracks, at::full({1, 2, 27}, .5, at::kDouble)}, 1);
  const auto present = at::tensor({1, 1, 1, 0, 0}, at::kLong).to(at::kBool).unsqueeze(0);
  EXPECT_LT((console.mix(padded, more, present) - mix).abs().max().item<double>(), 1e-9);
}

TEST(Console, FloatFollowsDouble) {
  const auto tracks = testing::lcg_values(6, {1, 2, 8000}) * .2;
  const ConsoleControls controls{.5 + .45 * testing::lcg_values(17, {1, 2, 27}),
                                 .5 + .45 * testing::lcg_values(18, {1, 26}),
                                 .5 + .45 * testing::lcg_values(19, {1, 24})};
  const Console console(kRate, 0, 4096);
  const auto exact = console.mix(tracks, controls);
  const auto single =
      console.mix(tracks.to(at::kFloat),
                  {controls.tracks.to(at::kFloat), controls.master.to(at::kFloat), controls.reverb.to(at::kFloat)});
  EXPECT_LT(((single - exact).abs().max() / exact.abs().max()).item<double>(), 1e-4);
}

TEST(Console, TheReverbIsHeardAndIsTheSameEachTime) {
  const auto tracks = testing::lcg_values(6, {1, 1, 8000}) * .2;
  auto controls = neutral_controls(1, 1, kRate);
  controls.tracks[0][0][kTrackSend] = kTrackParameters[kTrackSend].part_of(0, kRate);
  const auto dry = Console(kRate).mix(tracks, controls);
  controls.reverb = at::full({1, 24}, .5, at::kDouble);
  const auto wet = Console(kRate, 3, 4096).mix(tracks, controls);
  EXPECT_GT((wet - dry).abs().max().item<double>(), 1e-3);
  EXPECT_TRUE(at::equal(wet, Console(kRate, 3, 4096).mix(tracks, controls)));
  EXPECT_FALSE(at::equal(wet, Console(kRate, 4, 4096).mix(tracks, controls)));
}

TEST(Console, ARateThatLeavesNoRoomForTheBandsIsRefused) {
  const auto refusal = testing::refusal_of(ErrorKind::config, [] { (void)Console(16000); });
  EXPECT_NE(refusal.find("32000"), std::string::npos) << refusal;
}

}  // namespace melisma
