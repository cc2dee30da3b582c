// The differentiable effects against dasp-pytorch's numbers, and their gradients against differences.
#include "models/mix/effects.h"

#include <functional>

#include "data/audio/iir.h"
#include "data/effects/biquad.h"
#include "models/mix/reverb.h"
#include "tests/models/mix/mix_golden.h"

namespace melisma {
namespace {

constexpr double kEffectsRate = 44100;

struct Fixture {
  nlohmann::json json;
  testing::GoldenFile tensors;
  at::Tensor x;  // [2, 2048]
};

std::vector<Fixture> fixtures() {
  std::vector<Fixture> all;
  for (auto file : testing::golden_files("mixing", "effects", ".json").files) {
    auto json = testing::load_json(file);
    auto tensors = testing::GoldenFile::load(file.replace_extension(".safetensors"));
    auto x = testing::tensor_of(tensors.at("x"));
    all.push_back({std::move(json), std::move(tensors), std::move(x)});
  }
  return all;
}

// What a case is called with: parameters by name, in the order of `names`, as one leaf [n].
at::Tensor parameters_of(const nlohmann::json& fixture, const std::vector<std::string>& names) {
  std::vector<double> values;
  for (const auto& name : names) values.push_back(fixture.at("params").at(name).get<double>());
  return testing::leaf(at::tensor(values, at::kDouble));
}

// Output, loss and gradients of a case.
void expect_case(const Fixture& all, const nlohmann::json& fixture, const std::vector<std::string>& names,
                 const std::function<at::Tensor(const at::Tensor& x, const at::Tensor& parameters)>& effect,
                 double absolute = 1e-9) {
  const auto parameters = parameters_of(fixture, names);
  const auto x = testing::leaf(all.x);
  const auto y = effect(x, parameters);
  const auto weights = testing::lcg_values(703, y.sizes());
  const auto name = fixture.at("name").get<std::string>();
  if (all.tensors.has(name)) {
    EXPECT_TRUE(testing::near_all(all.tensors.at(name).values, testing::values_of(y), absolute));
  }
  const double relative = absolute > 1e-9 ? 1e-5 : 1e-7;
  EXPECT_NEAR((y * weights).sum().item<double>(), fixture.at("loss").get<double>(),
              relative * std::abs(fixture.at("loss").get<double>()));
  std::vector<double> expected;
  for (const auto& parameter : names) {
    const auto& gradient = fixture.at("grad");
    expected.push_back(gradient.contains(parameter) ? gradient.at(parameter)[0].get<double>() : 0.0);
  }
  EXPECT_TRUE(testing::near_all(expected, testing::gradient_of(y, weights, parameters), absolute > 1e-9 ? 1e-6 : 1e-12,
                                relative));
  const auto of_x = testing::gradient_of(y, weights, x);
  double squares = 0;
  for (const double g : of_x) squares += g * g;
  EXPECT_NEAR(std::sqrt(squares), fixture.at("grad_x_norm").get<double>(), relative * 30);
}

const std::vector<std::string> kBands = [] {
  std::vector<std::string> names;
  for (const std::string band : {"low_shelf", "band0", "band1", "band2", "band3", "high_shelf"}) {
    for (const std::string part : {"_gain_db", "_cutoff_freq", "_q_factor"}) names.push_back(band + part);
  }
  return names;
}();
const std::vector<std::string> kCompressorNames{"threshold_db", "ratio",   "attack_ms",
                                                "release_ms",   "knee_db", "makeup_gain_db"};

// Largest relative error of gradients against central differences over `parameters` of sum(weights * effect).
void expect_gradients_of_differences(const at::Tensor& parameters,
                                     const std::function<at::Tensor(const at::Tensor&)>& effect) {
  const auto variable = testing::leaf(parameters);
  const auto y = effect(variable);
  const auto weights = testing::lcg_values(5, y.sizes());
  const auto got = testing::gradient_of(y, weights, variable);
  std::vector<double> expected;
  const auto flat = parameters.contiguous().view(-1);
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    const double step = 1e-5 * std::max(1.0, std::abs(flat[i].item<double>()));
    const auto at = [&](double by) {
      auto moved = parameters.clone();
      moved.view(-1)[i] += by;
      return (effect(moved) * weights).sum().item<double>();
    };
    expected.push_back((at(step) - at(-step)) / (2 * step));
  }
  double largest = 0;
  for (const double g : expected) largest = std::max(largest, std::abs(g));
  EXPECT_TRUE(testing::near_all(expected, got, 1e-6 * largest + 1e-9, 1e-5));
}

}  // namespace

TEST(GoldenMixEffects, FaderPanAndBus) {
  for (const auto& all : fixtures()) {
    int n_checked = 0;
    for (const auto& fixture : all.json.at("cases")) {
      const auto name = fixture.at("name").get<std::string>();
      SCOPED_TRACE(name);
      if (name == "gain") {
        expect_case(all, fixture, {"gain_db"}, [](const auto& x, const auto& p) { return fade(x, p); });
      } else if (name == "pan_dasp") {
        expect_case(all, fixture, {"pan"}, [](const auto& x, const auto& p) { return pan_to_stereo(x[0], p[0]); });
      } else if (name.starts_with("pan_gains_")) {
        const auto pan = at::scalar_tensor(std::stod(name.substr(10)), at::kDouble);
        EXPECT_TRUE(testing::near_all(testing::json_numbers(fixture.at("dasp")),
                                      testing::values_of(pan_factors(pan, PanLaw::compromise)), 1e-12));
        EXPECT_TRUE(testing::near_all(testing::json_numbers(fixture.at("constant_power")),
                                      testing::values_of(pan_factors(pan, PanLaw::constant_power)), 1e-12));
      } else if (name == "stereo_bus") {
        const auto sends = testing::leaf(at::tensor({-3.0, 0.0, 2.5}, at::kDouble));
        const auto tracks = at::stack({all.x, .5 * all.x.flip({0}), .3 * all.x.roll({100}, {1})});
        const auto y = sum_to_bus(tracks, sends);
        const auto weights = testing::lcg_values(703, y.sizes());
        EXPECT_NEAR((y * weights).sum().item<double>(), fixture.at("loss").get<double>(), 1e-9);
        EXPECT_TRUE(testing::near_all(testing::json_numbers(fixture.at("grad").at("send_db")),
                                      testing::gradient_of(y, weights, sends), 1e-12, 1e-7));
      } else {
        continue;
      }
      ++n_checked;
    }
    EXPECT_GE(n_checked, 8);
  }
}

TEST(GoldenMixEffects, EqualizerFilteredInFrequency) {
  for (const auto& all : fixtures()) {
    int n_checked = 0;
    for (const auto& fixture : all.json.at("cases")) {
      if (fixture.at("name") != "parametric_eq_fsm") continue;
      expect_case(all, fixture, kBands, [](const auto& x, const auto& p) { return equalize(x, p, kEffectsRate); });
      // The true recursion differs by what wraps.
      const auto y = equalize(all.x, parameters_of(fixture, kBands), kEffectsRate);
      EXPECT_TRUE(testing::near_all(all.tensors.at("parametric_eq_iir").values, testing::values_of(y), 1e-11));
      ++n_checked;
    }
    EXPECT_EQ(n_checked, 1);
  }
}

TEST(GoldenMixEffects, Compressors) {
  for (const auto& all : fixtures()) {
    int n_checked = 0;
    for (const auto& fixture : all.json.at("cases")) {
      const auto name = fixture.at("name").get<std::string>();
      if (!name.starts_with("compressor")) continue;
      SCOPED_TRACE(name);
      const auto lookahead = fixture.at("lookahead").get<std::int64_t>();
      expect_case(all, fixture, kCompressorNames,
                  [&](const auto& x, const auto& p) { return compress(x, p, kEffectsRate, lookahead); });
      if (all.tensors.has(name + ".gain_db")) {  // of the true recursion: no end of a response in the beginning
        const auto settings = parameters_of(fixture, kCompressorNames);
        const auto& golden = all.tensors.at(name + ".gain_db").values;
        const auto got = testing::values_of(compressor_gain_db(all.x.sum(0), settings, kEffectsRate) + settings[5]);
        EXPECT_TRUE(testing::near_all(golden, got, 1e-3));
        EXPECT_TRUE(testing::near_all(std::span(golden).last(48), std::span(got).last(48), 1e-7));
      }
      ++n_checked;
    }
    EXPECT_EQ(n_checked, 3);
  }
}

TEST(GoldenMixEffects, NoiseReverbAndItsFilterBank) {
  for (const auto& all : fixtures()) {
    const auto& bank = all.tensors.at("octave_filterbank_255");
    EXPECT_TRUE(testing::near_all(bank.values, testing::values_of(octave_filter_bank(255, kEffectsRate)), 1e-6));
    int n_checked = 0;
    for (const auto& fixture : all.json.at("cases")) {
      if (fixture.at("name") != "noise_reverb") continue;
      const auto n = fixture.at("num_samples").get<std::int64_t>();
      const auto taps = fixture.at("num_bandpass_taps").get<std::int64_t>();
      const auto white = testing::lcg_values(711, {2, kReverbBands, n + taps - 1}) * std::sqrt(3.0);
      const auto noise = octave_noise(white, taps, kEffectsRate);
      std::vector<std::string> names;
      for (const auto* part : {"_gain", "_decay"}) {
        for (int band = 0; band < 12; ++band) names.push_back("band" + std::to_string(band) + part);
      }
      names.emplace_back("mix");
      expect_case(
          all, fixture, names,
          [&](const at::Tensor& x, const at::Tensor& p) {
            const auto wet = in_room(x, room_response(noise, p.narrow(0, 0, 12), p.narrow(0, 12, 12)));
            return (1 - p[24]) * x + p[24] * wet;
          },
          1e-6);
      ++n_checked;
    }
    EXPECT_EQ(n_checked, 1);
  }
}

TEST(MixEffects, ResponsesAreThoseOfTheBiquads) {
  const std::int64_t points = 64;
  for (const auto band : {EqualizerBand::low_shelf, EqualizerBand::peak, EqualizerBand::high_shelf}) {
    for (const double gain_db : {-12.0, 7.5}) {
      const double hz = 3000, q = 1.3;
      const auto section = band == EqualizerBand::low_shelf ? low_shelf_section(hz, q, gain_db, kEffectsRate)
                           : band == EqualizerBand::peak    ? peak_section(hz, q, gain_db, kEffectsRate)
                                                            : high_shelf_section(hz, q, gain_db, kEffectsRate);
      const auto number = [](double value) { return at::scalar_tensor(value, at::kDouble); };
      const auto over = at::tensor({section.b0, section.b1, section.b2}, at::kDouble);
      const auto under = at::tensor({1.0, section.a1, section.a2}, at::kDouble);
      const auto expected = at::fft_rfft(over, points) / at::fft_rfft(under, points);
      const auto got = equalizer_response(band, number(gain_db), number(hz), number(q), kEffectsRate, points);
      EXPECT_LT((got - expected).abs().max().item<double>(), 1e-12);
    }
  }
}

TEST(MixEffects, AnEqualizerOfLowFrequenciesKeepsItsShapeInFloat) {
  const auto bands = at::tensor(
      {12.0, 20.0, .1, 0.0, 80.0, 5.0, 0.0, 2000.0, 1.0, 0.0, 8000.0, 1.0, 0.0, 12000.0, 1.0, 0.0, 9000.0, .7},
      at::kDouble);
  const auto x = testing::lcg_values(9, {1, 20000});
  const auto exact = equalize(x, bands, kEffectsRate);
  const auto single = equalize(x.to(at::kFloat), bands.to(at::kFloat), kEffectsRate);
  EXPECT_LT((single - exact).abs().max().item<double>(), 2e-5);
}

TEST(MixEffects, GradientsAreThoseOfDifferences) {
  const auto x = testing::lcg_values(21, {2, 3, 200}) * .5;  // [B, T, N]
  const auto spread = [](std::uint32_t seed, at::IntArrayRef shape) { return testing::lcg_values(seed, shape); };
  const auto bands = at::tensor({4.0, 120.0, .7, -3.0, 400.0, 1.2, 2.5, 2500.0, .8, -5.0, 9000.0, 2.0, 1.5, 13000.0,
                                 3.0, -2.0, 10000.0, .7},
                                at::kDouble) *
                     (1 + .1 * spread(22, {2, 3, 18}));
  expect_gradients_of_differences(bands, [&](const at::Tensor& p) { return equalize(x, p, kEffectsRate); });
  const auto settings = at::tensor({-20.0, 4.0, 10.0, 80.0, 6.0, 3.0}, at::kDouble) * (1 + .1 * spread(23, {2, 3, 6}));
  expect_gradients_of_differences(settings,
                                  [&](const at::Tensor& p) { return compress(x.unsqueeze(-2), p, kEffectsRate, 16); });
  expect_gradients_of_differences(.5 + .4 * spread(24, {2, 3}),
                                  [&](const at::Tensor& p) { return pan_to_stereo(x, p); });
  const auto noise = octave_noise(spread(25, {2, kReverbBands, 300 + 30}), 31, kEffectsRate);
  const auto stereo = x.narrow(1, 0, 2);
  expect_gradients_of_differences(.5 + .4 * spread(26, {2, 24}), [&](const at::Tensor& p) {
    return in_room(stereo, room_response(noise, p.narrow(-1, 0, 12), p.narrow(-1, 12, 12)));
  });
}

TEST(MixEffects, HardPannedTracksHaveFiniteGradients) {
  const auto pan = testing::leaf(at::tensor({0.0, 1.0}, at::kDouble));
  const auto y = pan_to_stereo(testing::lcg_values(3, {2, 50}), pan);
  for (const double g : testing::gradient_of(y, at::ones_like(y), pan)) EXPECT_TRUE(std::isfinite(g));
}

TEST(MixEffects, TheEndOfALongResponseWraps) {
  // An impulse in the middle of a signal much shorter than a narrow low band's response: what is left after the points
  // of the transform stands before the impulse.
  auto x = at::zeros({1, 512}, at::kDouble);
  x[0][256] = 1;
  const auto bands = at::tensor(
      {12.0, 20.0, 5.0, 0.0, 80.0, 5.0, 0.0, 2000.0, 1.0, 0.0, 8000.0, 1.0, 0.0, 12000.0, 1.0, 0.0, 9000.0, .7},
      at::kDouble);
  const auto y = equalize(x, bands, kEffectsRate);
  EXPECT_GT(y.narrow(1, 0, 200).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(filtering_points(512), 1024);
}

}  // namespace melisma
