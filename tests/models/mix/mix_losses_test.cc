// The terms that mixes are judged by, against Diff-MST's feature loss, and what they are made of.
#include "models/mix/mix_losses.h"

#include <set>

#include "data/audio/loudness.h"
#include "data/signal/stft_loss.h"
#include "models/mix/audio_features.h"
#include "tests/models/mix/mix_golden.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {

WantedMix wanted(const at::Tensor& wave) { return {.wave = wave, .sample_rate_hz = 44100}; }

}  // namespace

TEST(GoldenMixLosses, AudioFeaturesAreThoseOfDiffMst) {
  for (auto file : testing::golden_files("mixing", "audio_feature_loss", ".json").files) {
    const auto fixture = testing::load_json(file);
    const auto golden = testing::GoldenFile::load(file.replace_extension(".safetensors"));
    const auto x = testing::rendered(fixture.at("input")).unsqueeze(0);
    const auto y = testing::rendered(fixture.at("target")).unsqueeze(0);
    for (const auto& [name, wave] : {std::pair{"features_input", x}, {"features_target", y}}) {
      const auto& expected = fixture.at(name);
      EXPECT_TRUE(
          testing::near_all(testing::json_numbers(expected.at("rms")), testing::values_of(mix_rms(wave)), 1e-9));
      EXPECT_TRUE(testing::near_all(testing::json_numbers(expected.at("crest_db")),
                                    testing::values_of(mix_crest_db(wave)), 1e-9));
      EXPECT_NEAR(mix_width(wave).item<double>(), expected.at("width").get<double>(), 1e-9);
      EXPECT_NEAR(mix_imbalance(wave).item<double>(), expected.at("imbalance").get<double>(), 1e-9);
      const auto bark = mix_bark_spectrum(wave, 44100)[0];
      for (const std::int64_t side : {0, 1}) {
        EXPECT_TRUE(
            testing::near_all(testing::json_numbers(expected.at("bark")[0].is_array() && expected.at("bark").size() == 1
                                                        ? expected.at("bark")[0][side]
                                                        : expected.at("bark")[side]),
                              testing::values_of(bark.select(1, side)), 1e-6));
      }
    }
    const auto weights = MixLossWeights::of_features();
    const auto input = testing::leaf(x);
    const auto judged = MixCriterion(weights, wanted(y))({.wave = input});
    const double factors[] = {.1, .001, 1, 1, .1};
    const char* names[] = {"rms", "crest_factor", "stereo_width", "stereo_imbalance", "barkspectrum"};
    ASSERT_EQ(judged.terms.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) {
      const double expected = fixture.at("losses").at(std::string("mix-") + names[i]).get<double>();
      EXPECT_NEAR(factors[i] * judged.terms[i].second.item<double>(), expected, 1e-6 * expected) << names[i];
    }
    const double total = fixture.at("total").get<double>();
    EXPECT_NEAR(judged.total.item<double>(), total, 1e-6 * total);
    const auto gradient = torch::autograd::grad({judged.total}, {input})[0][0];
    EXPECT_NEAR(gradient.norm().item<double>(), fixture.at("grad_norm").get<double>(), 1e-6);
    const auto& samples = golden.at("grad_input_every_64");
    double largest = 0;
    for (const double g : samples.values) largest = std::max(largest, std::abs(g));
    EXPECT_TRUE(
        testing::near_all(samples.values, testing::values_of(gradient.slice(1, 0, 65536, 64)), 1e-6 * largest, 1e-5));
    const auto single = MixCriterion(weights, wanted(y.to(at::kFloat)))({.wave = x.to(at::kFloat)});
    for (std::size_t i = 0; i < 5; ++i) {
      const double expected = fixture.at("losses_float32").at(std::string("mix-") + names[i]).get<double>();
      EXPECT_NEAR(factors[i] * single.terms[i].second.item<double>(), expected, 1e-4 * expected) << names[i];
    }
  }
}

TEST(GoldenMixLosses, BarkFiltersAreThoseOfDiffMst) {
  for (auto file : testing::golden_files("mixing", "audio_feature_loss", ".json").files) {
    const auto fixture = testing::load_json(file);
    const auto golden = testing::GoldenFile::load(file.replace_extension(".safetensors"));
    at::Tensor corners;
    const auto bank = bark_filter_bank(44100, &corners);
    EXPECT_TRUE(testing::near_all(testing::json_numbers(fixture.at("bark").at("corner_hz")),
                                  testing::values_of(corners), 0, 1e-5));
    auto expected = at::zeros_like(bank);
    const auto& first = golden.at("bark_fb.first_bin").values;
    const auto& ends = golden.at("bark_fb.ptr").values;
    const auto values = testing::tensor_of(golden.at("bark_fb.values"));
    for (std::size_t band = 0; band < first.size(); ++band) {
      const auto begin = static_cast<std::int64_t>(ends[band]), end = static_cast<std::int64_t>(ends[band + 1]);
      expected[static_cast<std::int64_t>(band)]
          .narrow(0, static_cast<std::int64_t>(first[band]), end - begin)
          .copy_(values.narrow(0, begin, end - begin));
    }
    EXPECT_LT((bank - expected).abs().max().item<double>(), 1e-6);
  }
}

TEST(MixLosses, LoudnessIsThatOfTheMeter) {
  for (const double quiet : {1.0, 1e-4}) {
    auto wave = testing::lcg_values(31, {1, 2, 3 * 44100}) * .3;
    wave.narrow(2, 0, 44100) *= quiet;
    Waveform planar{std::vector<float>(static_cast<std::size_t>(wave.numel())), 2, 44100};
    const auto values = testing::values_of(wave);
    std::copy(values.begin(), values.end(), planar.samples.begin());
    LoudnessMeter meter(44100, 2);
    meter.add(planar);
    EXPECT_NEAR(mix_lufs(wave, 44100).item<double>(), meter.integrated_lufs(), .01);
  }
}

TEST(MixLosses, EveryTermFallsToNothingOnTheTargetAndHasAGradientElsewhere) {
  const auto y = testing::lcg_values(32, {2, 2, 40000}) * at::tensor({.3, .2}, at::kDouble).view({1, 2, 1});
  const auto x = (y + .1 * testing::lcg_values(33, {2, 2, 40000})) * .7;
  auto target = wanted(y);
  target.controls.tracks = at::full({2, 3, 27}, .5, at::kDouble);
  std::set<std::string_view> names;
  for (const auto& row : kMixLosses) {
    SCOPED_TRACE(row.name);
    EXPECT_TRUE(names.insert(row.name).second);
    EXPECT_FALSE(row.help.empty());
    const auto term = row.make(target);
    EXPECT_LT(term({.wave = y, .controls = target.controls}).item<double>(), 1e-12);
    MadeMix made{.wave = testing::leaf(x)};
    made.controls.tracks = testing::leaf(at::full({2, 3, 27}, .4, at::kDouble));
    const auto loss = term(made);
    EXPECT_GT(loss.item<double>(), 1e-6);
    const bool is_of_parameters = row.name == "parameters";
    const auto gradient =
        torch::autograd::grad({loss}, {is_of_parameters ? made.controls.tracks : made.wave})[0].abs().sum();
    EXPECT_GT(gradient.item<double>(), 0);
  }
}

TEST(MixLosses, TheSumOfTheWeightedTermsIsTheTotalAndSwappedChannelsDoNotMatterToOneOfThem) {
  const auto y = testing::lcg_values(34, {1, 2, 20000}) * .3, x = testing::lcg_values(35, {1, 2, 20000}) * .2;
  MixLossWeights weights;
  weights.sum_difference = 2;
  weights.l1 = 3;
  const auto judged = MixCriterion(weights, wanted(y))({.wave = x});
  ASSERT_EQ(judged.terms.size(), 2u);
  EXPECT_EQ(judged.terms[0].first, "sum_difference");
  EXPECT_NEAR(judged.total.item<double>(),
              2 * judged.terms[0].second.item<double>() + 3 * judged.terms[1].second.item<double>(), 1e-12);
  const auto swapped = MixCriterion(weights, wanted(y))({.wave = x.flip({1})});
  EXPECT_NEAR(swapped.terms[0].second.item<double>(), judged.terms[0].second.item<double>(), 1e-12);
  EXPECT_NE(swapped.terms[1].second.item<double>(), judged.terms[1].second.item<double>());
}

TEST(MixLosses, AbsentTracksDoNotCountInTheParametersLoss) {
  auto target = wanted(at::zeros({1, 2, 10}, at::kDouble));
  target.controls.tracks = at::zeros({1, 2, 27}, at::kDouble);
  target.present = at::tensor({1, 0}, at::kLong).to(at::kBool).unsqueeze(0);
  MadeMix made{.wave = target.wave};
  made.controls.tracks = at::full({1, 2, 27}, .5, at::kDouble);
  made.controls.tracks[0][1].fill_(1);
  EXPECT_NEAR(make_parameters_term(target)(made).item<double>(), .25, 1e-12);
}

TEST(MixLosses, NoWeightAtAllAndParametersNobodyKnowsAreRefused) {
  MixLossWeights none;
  none.sum_difference = 0;
  const auto target = wanted(testing::lcg_values(36, {1, 2, 100}));
  EXPECT_NE(testing::refusal_of(ErrorKind::config, [&] { (void)MixCriterion(none, target); }).find("weight"),
            std::string::npos);
  EXPECT_NE(testing::refusal_of(ErrorKind::data, [&] { (void)make_parameters_term(target); }).find("parameters"),
            std::string::npos);
}

}  // namespace melisma
