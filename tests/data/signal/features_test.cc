#include "data/signal/features.h"

#include <gtest/gtest.h>

#include "data/signal/stft.h"
#include "tests/data/signal/tensors.h"

namespace melisma {
namespace {
using testing::doubles_of;
using testing::near_all;

at::Tensor magnitudes_of(const at::Tensor& wave) {
  return magnitude(stft(wave, {.n_fft = 2048, .hop = 512, .window = 2048, .padding = Padding::centre_zeros}));
}

TEST(GoldenFeatures, MatchLibrosa) {
  const auto found = testing::golden_files("dsp", "features", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  const auto golden = testing::GoldenFile::load(found.files.front());
  const auto description = testing::load_json(testing::golden_folder("dsp") / "features.json");
  const auto channels = testing::render_recipe(description["signal"]);  // in double: the stored wave is rounded
  EXPECT_TRUE(testing::recipe_matches_check(channels, description["check"]));
  const std::int64_t rate = description["signal"]["sr"];
  const auto wave = testing::tensor_of(channels[0]);
  const auto spectrum = magnitudes_of(wave);
  const auto is_near = [&](const char* name, const at::Tensor& got, double relative) {
    const auto& expected = golden.at(name);
    ASSERT_EQ(got.sizes(), at::IntArrayRef(expected.shape)) << name;
    EXPECT_TRUE(near_all(expected.values, doubles_of(got), 1e-9, relative)) << name;
  };
  is_near("rms", frame_rms(wave), 1e-6);
  is_near("zcr", zero_crossing_rate(wave), 1e-6);
  is_near("centroid_hz", spectral_centroid_hz(spectrum, rate), 1e-6);
  is_near("bandwidth_hz", spectral_bandwidth_hz(spectrum, rate), 1e-6);
  is_near("rolloff85_hz", spectral_rolloff_hz(spectrum, rate, 0.85), 0);
  is_near("rolloff95_hz", spectral_rolloff_hz(spectrum, rate, 0.95), 0);
  is_near("flatness", spectral_flatness(spectrum), 1e-6);
  is_near("contrast_db", spectral_contrast_db(spectrum, rate), 1e-6);
  is_near("onset_strength", onset_strength(wave, rate), 1e-6);
}

TEST(Features, SilenceGivesFiniteValues) {
  const auto wave = at::zeros({4096});
  const auto spectrum = magnitudes_of(wave);
  for (const auto& values :
       {frame_rms(wave), zero_crossing_rate(wave), spectral_centroid_hz(spectrum, 16000),
        spectral_bandwidth_hz(spectrum, 16000), spectral_rolloff_hz(spectrum, 16000), spectral_flatness(spectrum),
        spectral_contrast_db(spectrum, 16000), onset_strength(wave, 16000)}) {
    EXPECT_TRUE(at::isfinite(values).all().item<bool>());
  }
}

TEST(Features, ASineHasItsOwnFrequencyAsCentroid) {
  const auto wave = at::sin(at::arange(16000, at::kDouble) * (2 * 3.14159265358979 * 1000 / 16000));
  const auto centroid = spectral_centroid_hz(magnitudes_of(wave).slice(1, 4, 20), 16000);
  EXPECT_TRUE(at::allclose(centroid, at::full_like(centroid, 1000), 0, 1));
}

}  // namespace
}  // namespace melisma
