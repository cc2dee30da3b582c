// BSS Eval against museval, mir_eval and fast_bss_eval (golden/metrics/separation).
#include "eval/metrics/separation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "eval/metrics/least_squares_filters.h"
#include "eval/statistics/quantile.h"
#include "tests/eval/metrics/stems.h"
#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

using testing::golden_folder;
using testing::json_numbers;
using testing::near_all;

constexpr double kFilterTolerance = 1e-3;  // dB, as the fixture's README says of everything that needs filters

// The fixture and its stems as tensors [4, 2, 24000].
struct Separation {
  nlohmann::json fixture;
  at::Tensor references, estimates;

  static std::optional<Separation> load() {
    if (!std::filesystem::exists(golden_folder("metrics"))) return std::nullopt;
    Separation separation{testing::load_json(golden_folder("metrics") / "separation.json"), {}, {}};
    const auto stems = testing::render_stems(separation.fixture);
    separation.references = tensor_of(stems.references);
    separation.estimates = tensor_of(stems.estimates);
    return separation;
  }
  static at::Tensor tensor_of(const std::vector<testing::StereoWave>& waves) {
    std::vector<at::Tensor> rows;
    for (const auto& wave : waves) {
      for (const auto& channel : wave) rows.push_back(at::tensor(at::ArrayRef<double>(channel), at::kDouble));
    }
    return at::stack(rows).view({static_cast<int64_t>(waves.size()), 2, -1});
  }
  [[nodiscard]] at::Tensor left_references() const { return references.select(1, 0); }
  [[nodiscard]] at::Tensor left_estimates() const { return estimates.select(1, 0); }
};

void expect_images(const nlohmann::json& expected, const std::vector<ImageRatios>& got) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto near = [&](const char* key, const std::vector<double>& values, double tolerance) {
      if (!expected.contains(key)) return;
      const auto& numbers = expected[key][i];
      const auto wanted = numbers.is_array() ? json_numbers(numbers) : std::vector<double>{numbers.get<double>()};
      EXPECT_TRUE(near_all(wanted, values, tolerance)) << key << " of source " << i;
    };
    near("sdr", got[i].sdr, 1e-6);
    near("isr", got[i].isr, kFilterTolerance);
    near("sir", got[i].sir, kFilterTolerance);
    near("sar", got[i].sar, kFilterTolerance);
  }
}

TEST(GoldenSeparation, FramesOfImagesAreThoseOfMuseval) {
  const auto s = Separation::load();
  if (!s) GTEST_SKIP() << "no metrics fixtures here";
  const auto& expected = s->fixture["museval_v4"];
  const BssConfig config{.window = expected["window"], .hop = expected["hop"]};
  const auto got = bss_eval_images(s->references, s->estimates, config);
  expect_images(expected, got);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& medians = expected["median"][expected["names"][i].get<std::string>()];
    EXPECT_NEAR(median(got[i].sir), medians["sir"].get<double>(), kFilterTolerance);
  }
  expect_images(s->fixture["museval_whole"], bss_eval_images(s->references, s->estimates));
}

TEST(GoldenSeparation, AFrameInWhichASourceIsSilentCountsForNone) {
  const auto s = Separation::load();
  if (!s) GTEST_SKIP() << "no metrics fixtures here";
  auto silenced = s->references.clone();
  silenced[3].slice(1, 8000, 16000).zero_();
  const auto got = bss_eval_images(silenced, s->estimates, {.window = 8000, .hop = 8000});
  expect_images(s->fixture["museval_silent_frame"], got);
  for (const auto& ratios : got) EXPECT_TRUE(std::isnan(ratios.isr[1]) && std::isnan(ratios.sar[1]));
}

TEST(SlowGoldenSeparation, FiltersOfEachFrameAreThoseOfMusevalsOlderWay) {
  const auto s = Separation::load();
  if (!s) GTEST_SKIP() << "no metrics fixtures here";
  expect_images(
      s->fixture["museval_v3_framewise"],
      bss_eval_images(s->references, s->estimates, {.window = 8000, .hop = 8000, .has_filters_of_each_frame = true}));
}

TEST(GoldenSeparation, MonoSourcesAreThoseOfMirEvalInAnyOrder) {
  const auto s = Separation::load();
  if (!s) GTEST_SKIP() << "no metrics fixtures here";
  const auto expect = [&](const nlohmann::json& expected, const char* prefix, const at::Tensor& estimates,
                          int64_t taps) {
    const auto got = bss_eval_sources(s->left_references(), estimates, taps);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const auto near = [&](const char* key, double value) {
        const auto name = std::string(prefix) + key;
        if (expected.contains(name)) {
          EXPECT_NEAR(value, expected[name][i].get<double>(), kFilterTolerance) << name;
        }
      };
      near("sdr", got[i].sdr);
      near("sir", got[i].sir);
      near("sar", got[i].sar);
      EXPECT_EQ(got[i].estimate, expected["perm"][i].get<int64_t>());
    }
  };
  expect(s->fixture["mir_eval_sources_mono"], "", s->left_estimates(), 512);
  expect(s->fixture["fast_bss_eval_sources_mono"], "", s->left_estimates(), 512);
  expect(s->fixture["fast_bss_eval_si"], "si_", s->left_estimates(), 1);
  const auto& permuted = s->fixture["mir_eval_sources_permuted"];
  const auto order = permuted["order_of_estimates"].get<std::vector<int64_t>>();
  expect(permuted, "", s->left_estimates().index_select(0, at::tensor(at::ArrayRef<int64_t>(order))), 512);
}

TEST(GoldenSeparation, TheSdrOfOnePairNeedsNoOtherSource) {
  const auto s = Separation::load();
  if (!s) GTEST_SKIP() << "no metrics fixtures here";
  for (int64_t i = 0; i < 4; ++i) {
    const double expected = s->fixture["fast_bss_eval_sdr"][static_cast<std::size_t>(i)];
    EXPECT_NEAR(filtered_sdr_db(s->left_references()[i], s->left_estimates()[i]), expected, kFilterTolerance);
  }
}

at::Tensor noise(int64_t n_signals, int64_t n, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::rand({n_signals, n}, generator, at::TensorOptions().dtype(at::kDouble)).sub_(.5);
}

TEST(Separation, CorrelationsInBlocksAreTheSums) {
  const auto a = noise(2, 3000, 1), b = noise(3, 3000, 2);
  const int64_t taps = 7;
  const auto got = correlations(a, b, taps);
  for (int64_t lag = 1 - taps; lag < taps; ++lag) {
    const auto left = a.slice(1, std::max<int64_t>(0, -lag), std::min<int64_t>(3000, 3000 - lag));
    const auto right = b.slice(1, std::max<int64_t>(0, lag), std::min<int64_t>(3000, 3000 + lag));
    EXPECT_LT((got.select(2, lag + taps - 1) - at::mm(left, right.t())).abs().max().item<double>(), 1e-10) << lag;
  }
}

TEST(Separation, AFilteredSourceHasNoErrorAndAnUnknownOneIsAllArtefact) {
  const auto sources = noise(2, 8000, 3);
  sources.slice(1, 7984).zero_();  // so that the echo ends inside
  auto filtered = .5 * sources;
  filtered.slice(1, 4).add_(sources.slice(1, 0, -4), .25);  // an echo
  const auto clean = bss_eval_sources(sources, filtered, 16);
  for (const auto& ratios : clean) EXPECT_GT(ratios.sdr, 100);
  const auto foreign = noise(1, 8000, 4).squeeze(0);
  EXPECT_LT(filtered_sdr_db(sources[0], foreign, 16), -20);
  EXPECT_EQ(filtered_sdr_db(sources[0], at::zeros_like(foreign), 16), -INFINITY);
}

TEST(Separation, BandLimitedSourcesAreSolvedToo) {
  // Nothing above a tenth of the rate: the normal equations are singular to rounding.
  auto spectrum = at::fft_rfft(noise(2, 8000, 5));
  spectrum.slice(1, 800).zero_();
  const auto sources = at::fft_irfft(spectrum, 8000);
  const auto estimates = sources + .1 * sources.flip({0});
  for (const auto& ratios : bss_eval_sources(sources, estimates, 128)) EXPECT_NEAR(ratios.sdr, 20, 1.5);
  const auto images = bss_eval_images(sources.unsqueeze(1), estimates.unsqueeze(1), {.taps = 128});
  for (const auto& ratios : images) {
    EXPECT_NEAR(ratios.sdr[0], 20, .3);
    EXPECT_NEAR(ratios.sir[0], 20, 1.5);
  }
}

TEST(Separation, WrongShapesAndSilenceAreRefused) {
  const auto sources = noise(2, 1000, 6);
  EXPECT_THROW((void)bss_eval_sources(sources, sources.slice(1, 1)), Error);
  EXPECT_THROW((void)bss_eval_sources(sources, at::zeros_like(sources)), Error);
  EXPECT_THROW((void)bss_eval_images(sources, sources), Error);
  EXPECT_THROW((void)bss_eval_images(sources.unsqueeze(1), sources.unsqueeze(1), {.window = 100, .hop = 0}), Error);
}

}  // namespace
}  // namespace melisma
