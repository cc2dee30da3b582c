// Loudness against the EBU's own expectations and libebur128's numbers (golden/dsp/loudness).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

// The whole number of samples nearest to every 10 ms, fed in that step.
struct Fed {
  LoudnessMeter meter;
  double max_momentary = -std::numeric_limits<double>::infinity();
  double max_short_term = -std::numeric_limits<double>::infinity();
  std::vector<double> series;  // samples fed, momentary, short-term every 100 ms
};

Fed feed(std::span<const double> samples, std::int64_t rate_hz, std::int64_t n_channels, std::int64_t step_ms) {
  Fed fed{.meter = LoudnessMeter(rate_hz, n_channels), .series = {}};
  const auto step = static_cast<std::size_t>(rate_hz * step_ms / 1000 * n_channels);
  const auto floor = [](double lufs) { return std::isinf(lufs) ? -999.0 : lufs; };
  std::int64_t elapsed_ms = 0;
  for (std::size_t begin = 0; begin < samples.size(); begin += step) {
    fed.meter.add_interleaved(samples.subspan(begin, std::min(step, samples.size() - begin)));
    if (begin + step > samples.size()) break;
    elapsed_ms += step_ms;
    const double momentary = fed.meter.momentary_lufs(), short_term = fed.meter.short_term_lufs();
    fed.max_momentary = std::max(fed.max_momentary, momentary);
    fed.max_short_term = std::max(fed.max_short_term, short_term);
    if (elapsed_ms % 100 != 0) continue;
    const auto n_fed = static_cast<double>(begin + step) / static_cast<double>(n_channels);
    fed.series.insert(fed.series.end(), {n_fed, floor(momentary), floor(short_term)});
  }
  return fed;
}

// The EBU's published expectation of a case, if it has one.
void expect_official(const nlohmann::json& official, const Fed& fed, double max_momentary, double max_short_term) {
  const double tolerance = official.value("tolerance", 0.1);
  if (official.contains("integrated")) {
    EXPECT_NEAR(fed.meter.integrated_lufs(), official.at("integrated").get<double>(), tolerance);
  }
  if (official.contains("lra")) {
    EXPECT_NEAR(fed.meter.range_lu(), official.at("lra").get<double>(), tolerance);
  }
  if (official.contains("max_momentary")) {
    EXPECT_NEAR(max_momentary, official.at("max_momentary").get<double>(), tolerance);
  }
  if (official.contains("max_shortterm")) {
    EXPECT_NEAR(max_short_term, official.at("max_shortterm").get<double>(), tolerance);
  }
  if (official.contains("true_peak_db")) {
    const double expected = official.at("true_peak_db");
    EXPECT_LE(fed.meter.true_peak_db(), expected + official.at("tolerance_plus").get<double>());
    EXPECT_GE(fed.meter.true_peak_db(), expected - official.at("tolerance_minus").get<double>());
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
    for (const auto& fixture : testing::load_json(file).at("cases")) {
      SCOPED_TRACE(fixture.at("name").get<std::string>());
      const auto& signal = fixture.at("signal");
      const std::int64_t rate_hz = signal.at("sr");
      const auto n_channels = static_cast<std::int64_t>(signal.at("channels").size());
      const auto samples = interleaved_recipe(signal, fixture.at("check"));
      // The fixtures' maxima were read every 10 ms; on long signals that takes a minute, so every 100 ms has to do.
      const bool is_long = signal.at("n").get<std::int64_t>() > 12 * rate_hz;
      const auto fed = feed(samples, rate_hz, n_channels, is_long ? 100 : 10);
      const auto& reference = fixture.at("libebur128");
      expect_same(number_of(reference.at("integrated")), fed.meter.integrated_lufs(), 1e-6, "integrated");
      expect_same(number_of(reference.at("relative_threshold")), fed.meter.relative_threshold_lufs(), 1e-6,
                  "threshold");
      expect_same(number_of(reference.at("lra")), fed.meter.range_lu(), 1e-6, "range");
      expect_same(number_of(reference.at("true_peak_db")), fed.meter.true_peak_db(), 1e-4, "true peak");
      expect_same(number_of(reference.at("sample_peak_db")), fed.meter.sample_peak_db(), 1e-6, "sample peak");
      const double tolerance = is_long ? 0.02 : 1e-6;
      expect_same(number_of(reference.at("max_momentary")), fed.max_momentary, tolerance, "momentary");
      expect_same(number_of(reference.at("max_shortterm")), fed.max_short_term, tolerance, "short-term");
      const auto& exact = fixture.at("bs1770_double");
      expect_same(number_of(exact.at("integrated")), fed.meter.integrated_lufs(), 1e-6, "integrated by the definition");
      if (fixture.contains("official")) {
        expect_official(fixture.at("official"), fed, fed.max_momentary, fed.max_short_term);
      }
      if (fixture.contains("series_tensor")) {
        const auto& series = golden.at(fixture.at("series_tensor").get<std::string>()).values;
        EXPECT_TRUE(testing::near_all(series, fed.series, 1e-6));
      }
    }
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
  EXPECT_EQ(whole.max_short_term_lufs, meter.short_term_lufs());
}

TEST(Loudness, OfSilenceIsMinusInfinity) {
  const Waveform silence{.samples = std::vector<float>(48000), .n_channels = 1, .sample_rate_hz = 48000};
  EXPECT_TRUE(std::isinf(measure_loudness(silence).integrated_lufs));
  EXPECT_TRUE(std::isinf(measure_loudness(silence).true_peak_db));
}

}  // namespace
}  // namespace melisma
