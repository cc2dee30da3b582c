#include "data/signal/stft.h"

#include <gtest/gtest.h>

#include "tests/data/signal/tensors.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::doubles_of;
using testing::GoldenFile;
using testing::near_all;
using testing::tensor_of;

// The fixture may be spread over several files (stft.safetensors, stft_part2.safetensors): one set of tensors.
GoldenFile load_stft_fixture(const std::vector<std::filesystem::path>& files) {
  GoldenFile all;
  for (const auto& file : files) all.tensors.merge(GoldenFile::load(file).tensors);
  return all;
}

StftConfig config_of(const nlohmann::json& c) {
  return {.n_fft = c["n_fft"],
          .hop = c["hop"],
          .window = c["win"],
          .padding = c["center"].get<bool>() ? Padding::centre_reflect : Padding::none,
          .normalized = c["normalized"]};
}

at::Tensor mask_like(const at::Tensor& spectrum) {  // 0.5 + 0.5 cos(0.05 bin + 0.3 frame)
  const auto bin = at::arange(spectrum.size(-2), at::kDouble).unsqueeze(1);
  const auto frame = at::arange(spectrum.size(-1), at::kDouble).unsqueeze(0);
  return 0.5 + 0.5 * at::cos(0.05 * bin + 0.3 * frame);
}

void check_case(const nlohmann::json& c, const GoldenFile& golden) {
  SCOPED_TRACE("case " + c["name"].get<std::string>());
  const auto config = config_of(c);
  const auto name = c["name"].get<std::string>();
  const auto wave = tensor_of(golden.at("x")).narrow(0, 0, c["samples"]);
  const auto& expected = golden.at("stft_" + name);
  const double peak = c["max_abs"];
  const auto spectrum = stft(wave, config);
  ASSERT_EQ(spectrum.size(0), c["bins"]);
  ASSERT_EQ(spectrum.size(1), c["frames"]);
  EXPECT_EQ(stft_frames(c["samples"], config), c["frames"]);
  EXPECT_TRUE(near_all(expected.values, doubles_of(at::view_as_real(spectrum)),
                       (expected.dtype == "F64" ? 1e-10 : 1e-7) * peak));
  const auto single = stft(wave.to(at::kFloat), config);
  EXPECT_TRUE(near_all(expected.values, doubles_of(at::view_as_real(single.to(at::kComplexDouble).contiguous())),
                       2 * c["float32_max_abs_error"].get<double>()));
  if (!golden.has("istft_masked_" + name)) return;
  const auto& inverse = golden.at("istft_masked_" + name);
  EXPECT_TRUE(near_all(inverse.values, doubles_of(istft(spectrum * mask_like(spectrum), config, wave.size(0))),
                       inverse.dtype == "F64" ? 1e-12 : 1e-7));
  const auto back = istft(spectrum, config);
  EXPECT_EQ(back.size(0), c["istft_default_length"]);
  EXPECT_TRUE(near_all(doubles_of(wave), doubles_of(istft(spectrum, config, wave.size(0))), 2e-15));
  EXPECT_TRUE(near_all(doubles_of(wave), doubles_of(istft(single, config, wave.size(0))), 2e-6));
}

TEST(GoldenStft, MatchesTorchForwardAndInverse) {
  const auto found = testing::golden_files("dsp", "stft", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  const auto golden = load_stft_fixture(found.files);
  const auto description = testing::load_json(testing::golden_folder("dsp") / "stft.json");
  const auto channels = testing::render_recipe(description["signal"]);
  EXPECT_TRUE(testing::recipe_matches_check(channels, description["check"]));
  EXPECT_TRUE(near_all(golden.at("x").values, channels[0], 1e-9));
  for (const auto& c : description["cases"]) check_case(c, golden);
}

TEST(Stft, VocoderPaddingGivesOneFrameAHop) {
  const StftConfig config{.n_fft = 2048, .hop = 400, .window = 2048, .padding = Padding::vocoder};
  EXPECT_EQ(stft_frames(12800, config), 32);
  EXPECT_EQ(stft(at::randn({2, 12800}), config).sizes(), at::IntArrayRef({2, 1025, 32}));
}

TEST(Stft, LeadingDimensionsAreIndependent) {
  const StftConfig config{.n_fft = 256, .hop = 64, .window = 200, .padding = Padding::centre_zeros};
  const auto waves = at::randn({2, 3, 1000}, at::kDouble);
  const auto together = stft(waves, config);
  EXPECT_TRUE(at::allclose(together[1][2], stft(waves[1][2], config)));
}

TEST(Stft, GradientEqualsTheDifferenceQuotient) {
  const StftConfig config{.n_fft = 64, .hop = 16, .window = 48, .padding = Padding::vocoder};
  const auto wave = at::randn({1, 160}, at::kDouble).set_requires_grad(true);
  const auto weights = at::randn({1, 33, 10}, at::kDouble);
  const auto loss_of = [&](const at::Tensor& x) { return (magnitude(stft(x, config), 1e-6) * weights).sum(); };
  loss_of(wave).backward();
  const double step = 1e-6;
  for (const std::int64_t i : {0, 5, 80, 159}) {
    auto up = wave.detach().clone(), down = wave.detach().clone();
    up[0][i] += step;
    down[0][i] -= step;
    const auto quotient = ((loss_of(up) - loss_of(down)) / (2 * step)).item<double>();
    EXPECT_NEAR(wave.grad()[0][i].item<double>(), quotient, 1e-6);
  }
}

TEST(Stft, TooShortSignalsAreRefusedWithTheLengthNeeded) {
  const StftConfig config{.n_fft = 512, .hop = 128, .window = 512, .padding = Padding::centre_reflect};
  EXPECT_EQ(stft_frames(256, config), 0);
  try {
    (void)stft(at::zeros({256}), config);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(),
              "stft: 256 samples are too few to mirror 256 at each end (n_fft 512); give at least 257");
  }
}

}  // namespace
}  // namespace melisma
