// Loudness against the EBU's own expectations and libebur128's numbers (golden/dsp/loudness).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data/audio/k_weighting.h"
#include "data/audio/loudness.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
using testing::golden_files;
using testing::GoldenFile;

double number_of(const nlohmann::json& value) { return testing::json_numbers(nlohmann::json::array({value})).at(0); }

// Interleaved samples of a recipe; equal channels are rendered once.
std::vector<double> interleaved_recipe(const nlohmann::json& recipe, const nlohmann::json& check) {
  const auto& channels = recipe.at("channels");
  std::vector<std::vector<double>> rendered;
  if (channels.size() == 2 && channels[0] == channels[1]) {
    auto single = recipe;
    single["channels"] = nlohmann::json::array({channels[0]});
    rendered = testing::render_recipe(single);
    rendered.push_back(rendered[0]);
  } else {
    rendered = testing::render_recipe(recipe);
  }
  EXPECT_TRUE(testing::recipe_matches_check(rendered, check));
  std::vector<double> samples(rendered.size() * rendered[0].size());
  for (std::size_t channel = 0; channel < rendered.size(); ++channel) {
    for (std::size_t n = 0; n < rendered[channel].size(); ++n) {
      samples[n * rendered.size() + channel] = rendered[channel][n];
    }
  }
  return samples;
}

// Interleaved samples through a meter in steps of 100 ms.
struct Fed {
  LoudnessMeter meter;
  std::vector<double> series;  // samples fed, momentary, short-term after every whole step; -999 = minus infinity
};

Fed feed(std::span<const double> samples, std::int64_t rate_hz, std::int64_t n_channels) {
  Fed fed{.meter = LoudnessMeter(rate_hz, n_channels), .series = {}};
  const auto step = static_cast<std::size_t>(rate_hz / 10 * n_channels);
  const auto floor = [](double lufs) { return std::isinf(lufs) ? -999.0 : lufs; };
  for (std::size_t begin = 0; begin < samples.size(); begin += step) {
    fed.meter.add_interleaved(samples.subspan(begin, std::min(step, samples.size() - begin)));
    if (begin + step > samples.size()) break;
    const auto n_fed = static_cast<double>(begin + step) / static_cast<double>(n_channels);
    fed.series.insert(fed.series.end(), {n_fed, floor(fed.meter.momentary_lufs()), floor(fed.meter.short_term_lufs())});
  }
  return fed;
}

// libebur128 pads unfilled windows with zeros; they have no loudness here.
std::vector<double> filled_only(std::vector<double> series, std::int64_t rate_hz) {
  for (std::size_t row = 0; row < series.size(); row += 3) {
    const auto seconds = series[row] / static_cast<double>(rate_hz);
    if (seconds < 0.4) series[row + 1] = -999;
    if (seconds < 3) series[row + 2] = -999;
  }
  return series;
}

// The EBU's published expectation of a case, if it has one.
void expect_official(const nlohmann::json& official, const LoudnessMeter& meter) {
  const double tolerance = official.value("tolerance", 0.1);
  if (official.contains("integrated")) {
    EXPECT_NEAR(meter.integrated_lufs(), official.at("integrated").get<double>(), tolerance);
  }
  if (official.contains("lra")) {
    EXPECT_NEAR(meter.range_lu(), official.at("lra").get<double>(), tolerance);
  }
  if (official.contains("max_momentary")) {
    EXPECT_NEAR(meter.max_momentary_lufs(), official.at("max_momentary").get<double>(), tolerance);
  }
  if (official.contains("max_shortterm")) {
    EXPECT_NEAR(meter.max_short_term_lufs(), official.at("max_shortterm").get<double>(), tolerance);
  }
  if (official.contains("true_peak_db")) {
    const double expected = official.at("true_peak_db");
    EXPECT_LE(meter.true_peak_db(), expected + official.at("tolerance_plus").get<double>());
    EXPECT_GE(meter.true_peak_db(), expected - official.at("tolerance_minus").get<double>());
  }
}

void expect_same(double expected, double got, double tolerance, const char* what) {
  if (std::isinf(expected)) {
    EXPECT_EQ(got, expected) << what;
  } else {
    EXPECT_NEAR(got, expected, tolerance) << what;
  }
}

TEST(GoldenLoudness, EveryMeasureIsThatOfTheReferenceMeters) {
  const auto found = golden_files("dsp", "loudness", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no dsp fixtures";
  for (const auto& file : found.files) {
    auto tensors_file = file;
    const auto golden = GoldenFile::load(tensors_file.replace_extension(".safetensors"));
    const auto cases = testing::load_json(file).at("cases");
    ASSERT_FALSE(cases.empty());
    for (const auto& fixture : cases) {
      SCOPED_TRACE(fixture.at("name").get<std::string>());
      const auto& signal = fixture.at("signal");
      const std::int64_t rate_hz = signal.at("sr");
      const auto n_channels = static_cast<std::int64_t>(signal.at("channels").size());
      const auto samples = interleaved_recipe(signal, fixture.at("check"));
      const auto fed = feed(samples, rate_hz, n_channels);
      const auto& meter = fed.meter;
      const auto& reference = fixture.at("libebur128");
      const auto expect = [&](const char* measure, double got, double tolerance) {
        expect_same(number_of(reference.at(measure)), got, tolerance, measure);
      };
      expect("integrated", meter.integrated_lufs(), 1e-6);
      expect("relative_threshold", meter.relative_threshold_lufs(), 1e-6);
      expect("lra", meter.range_lu(), 1e-6);
      expect("true_peak_db", meter.true_peak_db(), 1e-4);
      expect("sample_peak_db", meter.sample_peak_db(), 1e-6);
      expect("max_momentary", meter.max_momentary_lufs(), 1e-6);
      expect("max_shortterm", meter.max_short_term_lufs(), 1e-6);
      const auto& exact = fixture.at("bs1770_double").at("integrated");
      if (!exact.is_null())
        expect_same(number_of(exact), meter.integrated_lufs(), 5e-9, "integrated by the definition");
      if (fixture.contains("official")) expect_official(fixture.at("official"), meter);
      if (fixture.contains("series_tensor")) {
        const auto& series = golden.at(fixture.at("series_tensor").get<std::string>()).values;
        EXPECT_TRUE(testing::near_all(filled_only(series, rate_hz), fed.series, 1e-6));
      }
    }
  }
}

TEST(GoldenLoudness, KWeightingHasTheFiltersOfTheStandardAtEveryRate) {
  const auto found = golden_files("dsp", "loudness", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no dsp fixtures";
  const auto table = testing::load_json(found.files.at(0)).at("k_weighting");
  ASSERT_FALSE(table.empty());
  for (const auto& [rate_hz, filters] : table.items()) {
    SCOPED_TRACE(rate_hz);
    const auto sections = k_weighting(std::stoll(rate_hz));
    ASSERT_EQ(sections.size(), 2u);
    for (const auto& [section, name] : {std::pair{sections[0], std::string("shelf")}, {sections[1], "highpass"}}) {
      const std::vector<double> b{section.b0, section.b1, section.b2}, a{1, section.a1, section.a2};
      EXPECT_TRUE(testing::near_all(testing::json_numbers(filters.at(name + "_b")), b, 1e-12)) << name;
      EXPECT_TRUE(testing::near_all(testing::json_numbers(filters.at(name + "_a")), a, 1e-12)) << name;
    }
  }
}

TEST(Loudness, MaximaDoNotDependOnTheBlocksASignalComesIn) {
  testing::Lcg random(5);
  std::vector<double> samples(2 * 22050 * 4);  // 10 ms are 220.5 frames here
  for (std::size_t n = 0; n < samples.size(); ++n) samples[n] = (n < samples.size() / 2 ? 0.1 : 0.3) * random.next();
  LoudnessMeter whole(22050, 2), pieces(22050, 2);
  whole.add_interleaved(samples);
  for (std::span<const double> rest(samples); !rest.empty();) {
    const auto count = std::min<std::size_t>(2 * 777, rest.size());
    pieces.add_interleaved(rest.first(count));
    rest = rest.subspan(count);
  }
  EXPECT_EQ(whole.max_momentary_lufs(), pieces.max_momentary_lufs());
  EXPECT_EQ(whole.max_short_term_lufs(), pieces.max_short_term_lufs());
  EXPECT_GE(whole.max_momentary_lufs(), whole.momentary_lufs() - 1e-9);
  EXPECT_GE(whole.max_short_term_lufs(), whole.short_term_lufs() - 1e-9);
}

TEST(Loudness, SurroundChannelsCountMore) {
  for (const std::int64_t n_channels : {4, 5, 6}) {
    Waveform wave{.samples = std::vector<float>(static_cast<std::size_t>(n_channels) * 48000 * 4),
                  .n_channels = n_channels,
                  .sample_rate_hz = 48000};
    testing::Lcg random(9);
    for (auto& sample : wave.samples) sample = static_cast<float>(0.1 * random.next());
    LoudnessMeter meter(48000, n_channels);
    meter.add(wave);
    EXPECT_NEAR(meter.max_short_term_lufs(), meter.short_term_lufs(), 0.05) << n_channels << " channels";
  }
}

TEST(Loudness, OfAWholeWaveAgreesWithTheStream) {
  testing::Lcg random(3);
  Waveform wave{.samples = std::vector<float>(2 * 48000), .n_channels = 2, .sample_rate_hz = 16000};
  for (auto& sample : wave.samples) sample = static_cast<float>(0.2 * random.next());
  LoudnessMeter meter(16000, 2);
  meter.add(wave);
  const auto whole = measure_loudness(wave);
  EXPECT_EQ(whole.integrated_lufs, meter.integrated_lufs());
  EXPECT_EQ(whole.true_peak_db, meter.true_peak_db());
  EXPECT_GE(whole.max_momentary_lufs, whole.integrated_lufs);
  EXPECT_NEAR(whole.max_short_term_lufs, meter.short_term_lufs(), 1e-9);
}

TEST(Loudness, OfSilenceIsMinusInfinity) {
  const Waveform silence{.samples = std::vector<float>(48000), .n_channels = 1, .sample_rate_hz = 48000};
  EXPECT_TRUE(std::isinf(measure_loudness(silence).integrated_lufs));
  EXPECT_TRUE(std::isinf(measure_loudness(silence).true_peak_db));
}

}  // namespace
}  // namespace melisma
