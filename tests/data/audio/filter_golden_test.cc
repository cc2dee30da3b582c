// Filters against scipy (golden/dsp/filters, the high-pass of golden/rvc/preprocess).
#include <gtest/gtest.h>

#include <map>

#include "data/audio/iir.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
using testing::golden_files;
using testing::GoldenFile;
using testing::near_all;

FilterKind kind_named(const std::string& name) {
  static const std::map<std::string, FilterKind> kinds{{"low", FilterKind::low},
                                                       {"high", FilterKind::high},
                                                       {"band", FilterKind::band},
                                                       {"bandstop", FilterKind::band_stop}};
  return kinds.at(name);
}

std::vector<double> sections_filtered(const Sections& sections, std::vector<double> samples, SectionState state = {}) {
  filter_sections(sections, std::span<double>(samples), state);
  return samples;
}

SectionState times(SectionState state, double factor) {
  for (auto& pair : state) {
    for (auto& value : pair) value *= factor;
  }
  return state;
}

TEST(GoldenFilters, DesignsAndOutputsAreThoseOfScipy) {
  const auto found = golden_files("dsp", "filters", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no dsp fixtures";
  for (const auto& file : found.files) {
    auto tensors_file = file;
    const auto golden = GoldenFile::load(tensors_file.replace_extension(".safetensors"));
    const auto& x = golden.at("x").values;
    const auto cases = testing::load_json(file).at("cases");
    ASSERT_FALSE(cases.empty());
    for (const auto& fixture : cases) {
      const auto name = fixture.at("name").get<std::string>();
      SCOPED_TRACE(name);
      const auto& cutoff = fixture.at("cutoff");
      const auto corners = cutoff.is_array() ? cutoff.get<std::vector<double>>() : std::vector<double>{cutoff};
      const auto kind = kind_named(fixture.at("kind"));
      const double rate_hz = fixture.at("fs");
      const auto sections = butterworth_sections(fixture.at("order"), kind, corners, rate_hz);
      const auto fraction = butterworth_polynomials(fixture.at("order"), kind, corners, rate_hz);
      EXPECT_TRUE(near_all(testing::json_numbers(fixture.at("b")), fraction.b, 1e-10));
      EXPECT_TRUE(near_all(testing::json_numbers(fixture.at("a")), fraction.a, 1e-10));
      EXPECT_TRUE(near_all(golden.at(name + ".sosfilt").values, sections_filtered(sections, x), 1e-9));
      EXPECT_TRUE(near_all(golden.at(name + ".sosfilt_zi_start").values,
                           sections_filtered(sections, x, times(settled_state(sections), x[0])), 1e-9));
      EXPECT_TRUE(near_all(golden.at(name + ".sosfiltfilt").values, filter_both_ways(sections, x), 1e-9));
      auto floats = golden.at("x").floats();
      filter_both_ways_in_place(sections, floats);
      EXPECT_TRUE(near_all(golden.at(name + ".sosfiltfilt").values, floats, 1e-6));
      if (golden.has(name + ".lfilter")) {
        EXPECT_TRUE(near_all(golden.at(name + ".lfilter").values, filter_direct(fraction, x), 1e-6));
        EXPECT_TRUE(near_all(golden.at(name + ".filtfilt").values, filter_both_ways(fraction, x), 1e-6));
      }
      const auto frequencies = testing::json_numbers(fixture.at("response_hz"));
      const auto expected_db = testing::json_numbers(fixture.at("response_db"));
      for (std::size_t k = 0; k < frequencies.size(); ++k) {
        if (expected_db[k] < -250) continue;  // a zero of the filter: noise
        EXPECT_NEAR(response_db(sections, frequencies[k], rate_hz), expected_db[k], 1e-8) << frequencies[k] << " Hz";
      }
    }
  }
}

TEST(GoldenFilters, TheRvcHighPassIsThatOfThePeers) {
  const auto found = golden_files("rvc", "preprocess", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no rvc fixtures";
  const auto golden = GoldenFile::load(found.files.at(0));
  for (const double rate_hz : {16000.0, 32000.0, 40000.0, 48000.0}) {
    const auto prefix = "highpass." + std::to_string(static_cast<int>(rate_hz)) + ".";
    SCOPED_TRACE(prefix);
    const auto& ba = golden.at(prefix + "ba").values;
    const Polynomials given{.b = {ba.begin(), ba.begin() + 6}, .a = {ba.begin() + 6, ba.end()}};
    const auto designed = butterworth_polynomials(5, FilterKind::high, std::array{48.0}, rate_hz);
    EXPECT_TRUE(near_all(given.b, designed.b, 1e-10));
    EXPECT_TRUE(near_all(given.a, designed.a, 1e-10));
    const auto& in = golden.at(prefix + "in").values;
    EXPECT_TRUE(near_all(golden.at(prefix + "lfilter").values, filter_direct(given, in), 1e-10));
    if (golden.has(prefix + "filtfilt")) {
      EXPECT_TRUE(near_all(golden.at(prefix + "filtfilt").values, filter_both_ways(given, in), 1e-10));
    }
    // What conversion runs: sections on floats, both ways.
    if (golden.has(prefix + "filtfilt")) {
      auto both = golden.at(prefix + "in").floats();
      const auto high = butterworth_sections(5, FilterKind::high, std::array{48.0}, rate_hz);
      filter_both_ways_in_place(high, both);
      EXPECT_TRUE(near_all(golden.at(prefix + "filtfilt").values, both, 1e-5));
    }
    // What preparation runs: sections on floats, free of the direct form's rounding.
    HighPass high_pass(static_cast<std::int64_t>(rate_hz));
    auto samples = golden.at(prefix + "in").floats();
    high_pass.process(std::span(samples).first(1001));
    high_pass.process(std::span(samples).subspan(1001));
    EXPECT_TRUE(near_all(golden.at(prefix + "lfilter").values, samples, 1e-5));
  }
}

TEST(Filters, BothWaysWithHeldEndsEqualsALongHeldSignalBothWays) {
  const auto sections = butterworth_sections(2, FilterKind::low, std::array{30.0}, 1000);
  testing::Lcg numbers(4);
  for (const std::size_t n : {1, 7, 400}) {
    std::vector<double> samples(n);
    for (auto& x : samples) x = 100 + numbers.next();
    std::vector<double> held(1000, samples.front());
    held.insert(held.end(), samples.begin(), samples.end());
    held.resize(held.size() + 1000, samples.back());
    const auto filtered = filter_both_ways(sections, held);
    const std::vector<double> expected(filtered.begin() + 1000,
                                       filtered.begin() + 1000 + static_cast<std::ptrdiff_t>(n));
    EXPECT_TRUE(near_all(expected, filter_both_ways_held(sections, samples, 300), 1e-10));
  }
  EXPECT_TRUE(filter_both_ways_held(sections, {}, 300).empty());
}

}  // namespace
}  // namespace melisma
