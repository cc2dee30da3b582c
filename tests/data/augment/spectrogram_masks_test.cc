// SpecAugment's masks, against torchaudio's numbers and by what they must leave alone.
#include "data/augment/spectrogram_masks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/support/golden.h"

namespace melisma {
namespace {
using testing::golden_files;
using testing::GoldenFile;
using testing::load_json;

// A mask along one axis of values [frequencies][frames], the layout of the fixture.
void put_out(std::span<float> values, std::int64_t n_frames, const std::string& axis, const SpectrogramMask& mask,
             float fill) {
  if (axis == "time") {
    mask_columns(values, n_frames, mask, fill);
  } else {
    mask_rows(values, n_frames, mask, fill);
  }
}

TEST(GoldenSpectrogramMasks, AreThoseOfTorchaudio) {
  const auto found = golden_files("mixing", "specaugment", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no topic mixing";
  for (const auto& path : found.files) {
    const auto facts = load_json(path);
    auto tensors_path = path;
    const auto tensors = GoldenFile::load(tensors_path.replace_extension(".safetensors"));
    const auto spec = tensors.at("spec").floats();  // [2, 3, 20, 30]
    const std::int64_t n_frames = 30, n_values = 600;
    for (const auto& entry : facts.at("cases")) {
      if (!entry.contains("axis")) continue;
      SCOPED_TRACE(entry.at("name").get<std::string>());
      const std::string axis = entry.at("axis");
      const bool is_independent = entry.at("independent");
      std::vector<float> values(spec.begin(), is_independent ? spec.end() : spec.begin() + n_values);
      const std::int64_t size = entry.at("size"), longest = entry.at("mask_param");
      EXPECT_EQ(longest_mask(size, longest, entry.at("p")), entry.at("effective_mask_param"));
      const auto& draws = entry.at("draws");
      for (std::size_t i = 0; !draws.empty() && i < draws[0].size(); ++i) {
        const auto mask = mask_of_draws(draws[0][i], draws[1][i], size, longest, entry.at("p"));
        EXPECT_EQ(mask.start, entry.at("spans")[i][0]);
        EXPECT_EQ(mask.start + mask.width, entry.at("spans")[i][1]);
        put_out(std::span(values).subspan(i * n_values, n_values), n_frames, axis, mask, 0);
      }
      EXPECT_EQ(values, tensors.at(entry.at("name")).floats());
    }
  }
}

TEST(GoldenSpectrogramMasks, TheWholeTransformFillsWithTheMeanOfTheInput) {
  const auto found = golden_files("mixing", "specaugment", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no topic mixing";
  for (const auto& path : found.files) {
    const auto facts = load_json(path);
    auto tensors_path = path;
    const auto tensors = GoldenFile::load(tensors_path.replace_extension(".safetensors"));
    for (const auto& entry : facts.at("cases")) {
      if (!entry.contains("n_time_masks")) continue;
      auto values = tensors.at("spec").floats();
      const auto& draws = entry.at("draws");
      const auto n_time = entry.at("n_time_masks").get<std::size_t>();
      for (std::size_t m = 0; 2 * m < draws.size(); ++m) {
        const bool is_time = m < n_time;
        const auto mask = mask_of_draws(draws[2 * m][0], draws[2 * m + 1][0], is_time ? 30 : 20,
                                        entry.at(is_time ? "time_mask_param" : "freq_mask_param"));
        for (std::size_t plane = 0; plane < values.size(); plane += 600) {
          put_out(std::span(values).subspan(plane, 600), 30, is_time ? "time" : "freq", mask,
                  entry.at("mean").get<float>());
        }
      }
      EXPECT_TRUE(testing::near_all(tensors.at(entry.at("name")).values, values, 1e-7));
    }
  }
}

TEST(SpectrogramMasks, StayWithinTheirLimitsAndChangeNothingElse) {
  const std::int64_t n_frames = 200, n_bands = 32;
  std::vector<float> original(static_cast<std::size_t>(n_frames * n_bands));
  std::iota(original.begin(), original.end(), 1.0F);
  const SpectrogramMaskConfig config{.n_time_masks = 1,
                                     .time_frames = 40,
                                     .time_share = 0.1,
                                     .n_frequency_masks = 0,
                                     .frequency_bands = 8,
                                     .fill_with_mean = false};
  std::int64_t most = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    auto values = original;
    RandomSource random(seed);
    mask_spectrogram(values, n_bands, config, random);
    std::int64_t n_rows = 0;
    for (std::int64_t t = 0; t < n_frames; ++t) {
      const auto row = std::span(values).subspan(static_cast<std::size_t>(t * n_bands), n_bands);
      const bool is_out = std::all_of(row.begin(), row.end(), [](float x) { return x == 0; });
      n_rows += is_out ? 1 : 0;
      if (!is_out) {
        ASSERT_TRUE(std::equal(row.begin(), row.end(), original.begin() + t * n_bands));
      }
    }
    EXPECT_LT(n_rows, 20);
    most = std::max(most, n_rows);
  }
  EXPECT_GT(most, 15);
}

TEST(SpectrogramMasks, AnExcerptShorterThanTheMaskIsNoError) {
  std::vector<float> values(3 * 4, 2.0F);
  RandomSource random(1);
  for (int i = 0; i < 100; ++i) {
    mask_spectrogram(values, 4, {.time_frames = 500, .time_share = 1, .frequency_bands = 100}, random);
  }
  std::vector<float> nothing;
  mask_spectrogram(nothing, 4, {}, random);
  EXPECT_EQ(values.size(), 12U);
}

}  // namespace
}  // namespace melisma
