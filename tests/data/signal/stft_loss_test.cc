// Spectral losses against auraloss's numbers, the float path against the plain one, and the kernels below it.
#include "data/signal/stft_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "data/signal/a_weighting.h"
#include "tests/support/degraded.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {

using testing::degraded;
using testing::golden_folder;
using testing::load_json;

bool has_metrics() { return std::filesystem::exists(golden_folder("metrics")); }

at::Tensor stereo(const std::vector<std::vector<double>>& channels) {
  return at::stack({at::tensor(channels[0], at::kDouble), at::tensor(channels[1], at::kDouble)}).unsqueeze(0);
}

// Value and gradient with respect to the estimate.
std::pair<double, at::Tensor> of_loss(const std::function<at::Tensor(const at::Tensor&)>& loss, const at::Tensor& x) {
  const auto estimate = x.detach().clone().set_requires_grad(true);
  const auto value = loss(estimate);
  return {value.item<double>(), torch::autograd::grad({value}, {estimate})[0]};
}

at::Tensor noise(std::uint32_t seed, at::IntArrayRef shape) {
  auto made = at::empty(shape, at::kDouble);
  testing::Lcg random(seed);
  for (std::int64_t i = 0; i < made.numel(); ++i) made.data_ptr<double>()[i] = .3 * random.next();
  return made;
}

// The float path as near to the plain one in double as the plain one in float is, value and gradient.
void expect_fused_is_plain(const at::Tensor& x, const at::Tensor& y, const std::vector<StftLossConfig>& configs) {
  const auto with = [&](const at::Tensor& reference) {
    return [&configs, reference](const at::Tensor& e) { return multi_resolution_stft_loss(e, reference, configs); };
  };
  const auto exact = of_loss(with(y), x);
  const auto fused = of_loss(with(y.to(at::kFloat)), x.to(at::kFloat));
  const auto asks_for_gradients = y.to(at::kFloat).set_requires_grad(true);
  const auto plain = of_loss(with(asks_for_gradients), x.to(at::kFloat));
  EXPECT_NEAR(fused.first, exact.first, 5e-7 * exact.first);
  const auto error = [&](const at::Tensor& gradient) {
    return ((gradient - exact.second).norm() / exact.second.norm()).item<double>();
  };
  EXPECT_LT(error(fused.second), 1.5 * error(plain.second) + 1e-6);
  EXPECT_LT(error(fused.second), 2e-3);
}

}  // namespace

TEST(GoldenStftLoss, ValuesAndGradientsAreThoseOfAuraloss) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "spectral.json");
  const auto channels = testing::render_recipe(fixture["signal"]);
  auto reference = stereo(channels);
  const std::vector<StftLossConfig> halves{
      {.n_fft = 512, .hop = 256, .window = 512, .convergence = 0, .magnitude = 1},
      {.n_fft = 2048, .hop = 1024, .window = 2048, .convergence = 0, .magnitude = 1},
      {.n_fft = 8192, .hop = 4096, .window = 8192, .convergence = 0, .magnitude = 1}};
  const std::vector<StftLossConfig> sides{{.n_fft = 4096, .hop = 2048, .window = 4096},
                                          {.n_fft = 1024, .hop = 512, .window = 1024},
                                          {.n_fft = 256, .hop = 128, .window = 256}};
  const auto a_weighted = [](std::vector<StftLossConfig> configs) {
    for (auto& config : configs) config.a_weighted = true;
    return configs;
  };
  using Loss = std::function<at::Tensor(const at::Tensor&)>;
  const auto one = [&](const StftLossConfig& config) -> Loss {
    return [&reference, config](const at::Tensor& x) { return stft_loss(x, reference, config); };
  };
  const std::pair<const char*, Loss> losses[] = {
      {"mrstft_default",
       [&](const at::Tensor& x) { return multi_resolution_stft_loss(x, reference, multi_resolution_configs()); }},
      {"mrstft_512_2048_8192_lin_log",
       [&](const at::Tensor& x) { return multi_resolution_stft_loss(x, reference, halves); }},
      {"stft_2048_512", one({.n_fft = 2048, .hop = 512, .window = 2048})},
      {"stft_1024_120_600", one({.n_fft = 1024, .hop = 120, .window = 600})},
      {"stft_sc_only", one({.n_fft = 2048, .hop = 512, .window = 2048, .log_magnitude = 0})},
      {"stft_lin_only",
       one({.n_fft = 2048, .hop = 512, .window = 2048, .convergence = 0, .log_magnitude = 0, .magnitude = 1})},
      {"stft_log_l2", one({.n_fft = 2048, .hop = 512, .window = 2048, .convergence = 0, .squared = true})},
      {"stft_mel80", one({.n_fft = 2048, .hop = 512, .window = 2048, .n_mels = 80})},
      {"mrstft_music_readme",
       [&](const at::Tensor& x) { return multi_resolution_stft_loss(x, reference, music_stft_configs(44100)); }},
      {"mrstft_aweight",
       [&](const at::Tensor& x) {
         return multi_resolution_stft_loss(x, reference, a_weighted(multi_resolution_configs()));
       }},
      {"sum_difference_aweight",
       [&](const at::Tensor& x) { return sum_difference_stft_loss(x, reference, a_weighted(sides)); }},
      {"sum_difference_4096_1024_256",
       [&](const at::Tensor& x) { return sum_difference_stft_loss(x, reference, sides); }}};
  for (const auto& [name, loss] : losses) {
    SCOPED_TRACE(name);
    const auto& expected = fixture["losses"][name];
    auto estimate = stereo(degraded(channels)).set_requires_grad(true);
    const auto value = loss(estimate);
    const double want = expected["value"].get<double>();
    const bool is_weighted = std::string_view(name).find("aweight") != std::string_view::npos ||
                             std::string_view(name).find("music") != std::string_view::npos;
    // auraloss keeps the weighting's taps in single precision.
    const double relative = is_weighted ? 5e-6 : 1e-7;
    EXPECT_NEAR(value.item<double>(), want, relative * want);
    if (expected.contains("value_float32") && !is_weighted) {
      const auto in_double = reference;
      reference = reference.to(at::kFloat);
      const double got = loss(stereo(degraded(channels)).to(at::kFloat)).item<double>();
      EXPECT_NEAR(got, expected["value_float32"].get<double>(), 5e-7 * want);
      reference = in_double;
    }
    const auto gradient = torch::autograd::grad({value}, {estimate})[0];
    const double norm = expected["grad_norm"].get<double>();
    EXPECT_NEAR(gradient.norm().item<double>(), norm, std::max(relative, 1e-6) * norm);
    for (const auto& sample : expected["grad_samples"]) {
      const double got = gradient[0][sample[0].get<int64_t>()][sample[1].get<int64_t>()].item<double>();
      EXPECT_NEAR(got, sample[2].get<double>(), std::max(relative, 1e-6) * std::abs(sample[2].get<double>()) + 1e-9);
    }
  }
}

TEST(StftLoss, TheFloatPathIsThePlainOne) {
  const std::vector<StftLossConfig> sides{{.n_fft = 512, .hop = 100, .window = 300, .magnitude = .5},
                                          {.n_fft = 256, .hop = 256, .window = 255, .convergence = 0},
                                          {.n_fft = 128, .hop = 32, .window = 128, .log_magnitude = 0}};
  for (const auto& shape : {std::vector<std::int64_t>{1, 2, 5000}, {2, 3, 1999}, {70000}}) {
    expect_fused_is_plain(noise(1, shape), noise(2, shape), sides);
  }
}

TEST(StftLoss, BinsAtTheFloorHaveNoGradientInBothPaths) {
  auto x = noise(3, {1, 4000}), y = noise(4, {1, 4000});
  x.narrow(1, 1000, 2000).zero_();
  expect_fused_is_plain(x, y, {{.n_fft = 256, .hop = 64, .window = 256, .magnitude = 1}});
}

TEST(StftLoss, RatiosTooLargeForProductsAreSummedOneByOne) {
  const auto x = noise(5, {1, 4000}) * 1e15, y = noise(6, {1, 4000}) * 1e-15;
  expect_fused_is_plain(x, y, {{.n_fft = 256, .hop = 64, .window = 256, .convergence = 0}});
}

TEST(StftLoss, EqualWavesHaveNoLossAndAFiniteGradient) {
  const auto x = noise(7, {2, 4000}).to(at::kFloat);
  const auto [value, gradient] =
      of_loss([&](const at::Tensor& e) { return multi_resolution_stft_loss(e, x, multi_resolution_configs()); }, x);
  EXPECT_EQ(value, 0);
  EXPECT_EQ(gradient.abs().max().item<double>(), 0);
}

TEST(StftLoss, NotANumberIsNotHidden) {
  auto x = noise(7, {1, 4000}).to(at::kFloat);
  const auto y = x.clone();
  x[0][2000] = std::nan("");
  EXPECT_TRUE(std::isnan(multi_resolution_stft_loss(x, y, multi_resolution_configs()).item<double>()));
}

TEST(StftLoss, ThreadsMakeNoDifference) {
  const auto x = noise(8, {2, 30000}).to(at::kFloat), y = noise(9, {2, 30000}).to(at::kFloat);
  const auto loss = [&](const at::Tensor& e) { return multi_resolution_stft_loss(e, y, mixing_stft_configs()); };
  const auto one = of_loss(loss, x);
  const auto before = at::get_num_threads();
  at::set_num_threads(2);
  const auto two = of_loss(loss, x);
  at::set_num_threads(before);
  EXPECT_EQ(one.first, two.first);
  EXPECT_TRUE(at::equal(one.second, two.second));
}

TEST(StftLoss, ATargetServesManyEstimates) {
  const auto y = noise(10, {1, 2, 9000}).to(at::kFloat);
  const StftTarget target(y, mixing_stft_configs());
  for (const std::uint32_t seed : {11u, 12u}) {
    const auto x = noise(seed, {1, 2, 9000}).to(at::kFloat);
    EXPECT_EQ(target.loss(x).item<double>(), multi_resolution_stft_loss(x, y, mixing_stft_configs()).item<double>());
  }
}

TEST(StftLoss, TooFewSamplesAreNamed) {
  const auto x = noise(1, {100}).to(at::kFloat);
  const auto refusal =
      testing::refusal_of(ErrorKind::data, [&] { (void)stft_loss(x, x, {.n_fft = 512, .window = 512}); });
  EXPECT_NE(refusal.find("100 samples"), std::string::npos) << refusal;
}

TEST(GoldenStftLoss, AWeightingTaps) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto tensors = testing::GoldenFile::load(golden_folder("metrics") / "spectral.safetensors");
  for (const int64_t rate_hz : {44100, 48000}) {
    const auto taps = a_weighting_taps(rate_hz);
    EXPECT_TRUE(testing::near_all(tensors.at("aweight_fir_101_" + std::to_string(rate_hz)).values, taps, 1e-6));
    EXPECT_NEAR(20 * std::log10(a_weighting_gain(1000, rate_hz)), 0, .02);
  }
}

}  // namespace melisma
