// STOI and ESTOI against pystoi on degraded speech.
#include "eval/metrics/intelligibility.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <numeric>

#include "tests/support/golden.h"

namespace melisma {
namespace {

using testing::golden_folder;

// x + g u with g so that the ratio of their energies is `decibels`.
std::vector<double> noisy(const std::vector<double>& x, double decibels, uint32_t seed) {
  testing::Lcg source(seed);
  std::vector<double> noise(x.size());
  for (double& u : noise) u = source.next();
  const double energy = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
  const double noise_energy = std::inner_product(noise.begin(), noise.end(), noise.begin(), 0.0);
  const double gain = std::sqrt(energy / (noise_energy * std::pow(10, decibels / 10)));
  for (std::size_t i = 0; i < x.size(); ++i) noise[i] = x[i] + gain * noise[i];
  return noise;
}

std::vector<double> degraded_speech(const std::string& name, const std::vector<double>& x) {
  if (name == "noise_20dB") return noisy(x, 20, 401);
  if (name == "noise_5dB") return noisy(x, 5, 402);
  if (name == "noise_minus5dB") return noisy(x, -5, 403);
  auto y = x;
  double state = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (name == "lowpass") y[i] = state += .25 * (x[i] - state);
    if (name == "clip") y[i] = std::clamp(4 * x[i], -.3, .3);
    if (name == "bits6") y[i] = std::nearbyint(x[i] * 32) / 32;
    if (name == "delay_40") y[i] = i < 40 ? 0 : x[i - 40];
    if (name == "gain") y[i] = .4 * x[i];
  }
  return y;
}

// scipy.signal.resample_poly(x, 5, 8): a Kaiser-windowed sinc, beta 5, ten zero crossings a side.
std::vector<double> as_scipy(const std::vector<double>& x) {
  auto taps = kaiser_window(80, 5);
  for (int i = -80; i <= 80; ++i) {
    const double phase = std::numbers::pi * i / 8;
    taps[static_cast<std::size_t>(i + 80)] *= i == 0 ? 1 : std::sin(phase) / phase;
  }
  const double sum = std::accumulate(taps.begin(), taps.end(), 0.0);
  for (double& tap : taps) tap /= sum;
  return resample_polyphase(x, 5, 8, taps);
}

}  // namespace

TEST(GoldenMetrics, Intelligibility) {
  if (!std::filesystem::exists(golden_folder("metrics"))) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = testing::load_json(golden_folder("metrics") / "speech_quality.json");
  const auto tensors = testing::GoldenFile::load(golden_folder("metrics") / "speech_quality.safetensors");
  auto x = tensors.at("speech.int16").values;
  for (double& sample : x) sample /= 32768;
  const auto first_10k = resample_as_octave(x, 5, 8);
  EXPECT_TRUE(testing::near_all(tensors.at("stoi.x_10k_first").values, std::span(first_10k).first(2000), 1e-9));
  const auto scipy_10k = as_scipy(x);
  EXPECT_TRUE(testing::near_all(tensors.at("scipy_poly_10k_first").values, std::span(scipy_10k).first(2000), 1e-9));
  for (const auto& expected : fixture["cases"]) {
    const auto name = expected["name"].get<std::string>();
    SCOPED_TRACE(name);
    const auto y = degraded_speech(name, x);
    const auto own = measure_intelligibility(x, y, 16000);
    EXPECT_NEAR(own.stoi, expected["stoi"].get<double>(), 1e-4);
    EXPECT_NEAR(own.estoi, expected["estoi"].get<double>(), 1e-4);
    const auto at_10k = measure_intelligibility(scipy_10k, as_scipy(y), 10000);
    EXPECT_NEAR(at_10k.stoi, expected["stoi_at_10k"].get<double>(), 1e-6);
    EXPECT_NEAR(at_10k.estoi, expected["estoi_at_10k"].get<double>(), 1e-6);
  }
}

TEST(Intelligibility, IsUnknownForLessThanThirtyFrames) {
  const std::vector<double> brief(3000, .1);
  EXPECT_TRUE(std::isnan(measure_intelligibility(brief, brief, 10000).stoi));
  EXPECT_TRUE(std::isnan(measure_intelligibility({}, {}, 16000).estoi));
}

}  // namespace melisma
