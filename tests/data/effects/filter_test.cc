// Filters by their response at known frequencies, and against the reference biquads.
#include <gtest/gtest.h>

#include "data/effects/biquad.h"
#include "tests/data/effects/known_signals.h"

namespace melisma {
namespace {
using testing::db;
using testing::kRate;
using testing::response_of;

double response_db_of(const std::string& effect, double frequency_hz) { return db(response_of(effect, frequency_hz)); }

TEST(PeakEffect, RaisesItsCentreAndNothingFarAway) {
  const std::string bell = "eq-peak\nfrequency_hz = 1000\ngain_db = -9\nq = 2";
  EXPECT_NEAR(response_db_of(bell, 1000), -9, 0.001);
  EXPECT_NEAR(response_db_of(bell, 20), 0, 0.01);
  EXPECT_NEAR(response_db_of(bell, 20000), 0, 0.02);
  // q = centre over the width between the points of half the dB; the upper one by the warped frequency axis.
  const auto warped = [](double hz) { return std::tan(std::numbers::pi * hz / kRate); };
  const double root = std::sqrt(1 + 1 / (16 * 1.0));
  for (const double factor : {root - 0.25, root + 0.25}) {
    const double hz = std::atan(warped(1000) * factor) * kRate / std::numbers::pi;
    EXPECT_NEAR(response_db_of(bell, hz), -4.5, 0.02) << hz;
  }
}

TEST(ShelfEffects, ReachTheirGainOnTheirSideAndHalfOfItAtTheCorner) {
  const std::string low = "low-shelf\nfrequency_hz = 300\ngain_db = 8";
  EXPECT_NEAR(response_db_of(low, 5), 8, 0.01);
  EXPECT_NEAR(response_db_of(low, 300), 4, 0.01);
  EXPECT_NEAR(response_db_of(low, 15000), 0, 0.01);
  const std::string high = "high-shelf\nfrequency_hz = 3000\ngain_db = -8";
  EXPECT_NEAR(response_db_of(high, 22000), -8, 0.01);
  EXPECT_NEAR(response_db_of(high, 3000), -4, 0.01);
  EXPECT_NEAR(response_db_of(high, 30), 0, 0.01);
}

TEST(PassEffects, LoseThreeDecibelsAtTheCornerAndSixAnOctaveAndOrder) {
  for (const int order : {1, 2, 5, 8}) {
    const auto settings = "\norder = " + std::to_string(order) + "\nfrequency_hz = ";
    EXPECT_NEAR(response_db_of("high-pass" + settings + "800", 800), -3.0103, 0.001) << order;
    EXPECT_NEAR(response_db_of("high-pass" + settings + "800", 12000), 0, 0.02) << order;
    EXPECT_NEAR(response_db_of("low-pass" + settings + "800", 800), -3.0103, 0.001) << order;
    EXPECT_NEAR(response_db_of("low-pass" + settings + "800", 20), 0, 0.01) << order;
    const double octave =
        response_db_of("high-pass" + settings + "800", 100) - response_db_of("high-pass" + settings + "800", 200);
    EXPECT_NEAR(octave, -6.02 * order, 0.2) << order;
  }
}

TEST(PassEffects, RefuseACornerThatTheRateDoesNotHave) {
  const auto chain = testing::effect_table("high-pass\nfrequency_hz = 5000");
  EXPECT_NO_THROW(testing::made_of(chain, 1, 16000));
  try {
    testing::made_of(chain, 1, 8000);
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what())
                  .find("the corner of 5000 Hz is not below half the sample rate, 4000 Hz (while "
                        "making effect 1 of"),
              std::string::npos)
        << error.what();
  }
}

TEST(LadderEffect, FourPolesAreWhereTheyAreSet) {
  const std::string ladder = "ladder\nfrequency_hz = 1000\nmode = ";
  EXPECT_NEAR(response_db_of(ladder + "\"low-pass-24\"", 1000), -4 * 3.0103, 0.001);
  EXPECT_NEAR(response_db_of(ladder + "\"low-pass-12\"", 1000), -2 * 3.0103, 0.001);
  EXPECT_NEAR(response_db_of(ladder + "\"high-pass-24\"", 1000), -4 * 3.0103, 0.001);
  EXPECT_NEAR(response_db_of(ladder + "\"high-pass-12\"", 1000), -2 * 3.0103, 0.001);
  EXPECT_NEAR(response_db_of(ladder + "\"band-pass-12\"", 1000), 0, 0.001);
  EXPECT_NEAR(response_db_of(ladder + "\"band-pass-24\"", 1000), 0, 0.001);
  EXPECT_NEAR(response_db_of(ladder + "\"low-pass-24\"", 10), 0, 0.01);
  EXPECT_NEAR(response_db_of(ladder + "\"high-pass-24\"", 22000), 0, 0.01);
  const double octave =
      response_db_of(ladder + "\"high-pass-24\"", 50) - response_db_of(ladder + "\"high-pass-24\"", 100);
  EXPECT_NEAR(octave, -24, 0.3);
}

TEST(LadderEffect, ResonanceIsTheFeedbackLoopsOwn) {
  // 1 / (1 + 4 r H^4) with the four poles H: at the corner H^4 = -1/4, below it 1.
  const std::string ladder = "ladder\nfrequency_hz = 1000\nresonance = ";
  for (const double r : {0.3, 0.9}) {
    const double expected = (1 + 4 * r) * 0.25 / (1 - r);
    EXPECT_NEAR(response_of(ladder + std::to_string(r), 1000, 3), expected, 1e-3 * expected) << r;
    EXPECT_NEAR(response_db_of(ladder + std::to_string(r), 2), 0, 0.01) << r;
  }
}

TEST(LadderEffect, DriveBendsLoudSoundsOnly) {
  const auto harmonic = [](double amplitude) {
    const auto out =
        testing::with_effect("ladder\nfrequency_hz = 15000\ndrive_db = 6", testing::sine(441, amplitude, 1));
    return testing::amplitude_at(testing::middle(out), 1323) / testing::amplitude_at(testing::middle(out), 441);
  };
  EXPECT_GT(harmonic(0.8), 0.05);
  EXPECT_LT(harmonic(0.01), 1e-4);
}

TEST(GoldenEffects, BiquadsAreThoseOfTheReference) {
  const auto found = testing::golden_files("mixing", "effects", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no mixing fixtures";
  for (const auto& file : found.files) {
    const auto biquads = testing::load_json(file).at("biquads");
    EXPECT_FALSE(biquads.empty()) << file;
    for (const auto& fixture : biquads) {
      const std::string type = fixture.at("type");
      const double hz = fixture.at("freq"), q = fixture.at("q"), gain_db = fixture.at("gain_db"), rate_hz = 44100;
      SCOPED_TRACE(type + " " + std::to_string(hz));
      const auto section = type == "low_shelf"    ? low_shelf_section(hz, q, gain_db, rate_hz)
                           : type == "high_shelf" ? high_shelf_section(hz, q, gain_db, rate_hz)
                           : type == "peaking"    ? peak_section(hz, q, gain_db, rate_hz)
                           : type == "low_pass"   ? low_pass_section(hz, q, rate_hz)
                                                  : high_pass_section(hz, q, rate_hz);
      EXPECT_TRUE(testing::near_all(testing::json_numbers(fixture.at("b")),
                                    std::vector<double>{section.b0, section.b1, section.b2}, 1e-12));
      EXPECT_TRUE(testing::near_all(testing::json_numbers(fixture.at("a")),
                                    std::vector<double>{1, section.a1, section.a2}, 1e-12));
    }
  }
}

TEST(GoldenEffects, AParametricEqualizerIsThatOfTheReference) {
  const auto found = testing::golden_files("mixing", "effects", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no mixing fixtures";
  for (const auto& file : found.files) {
    auto tensors_file = file;
    const auto golden = testing::GoldenFile::load(tensors_file.replace_extension(".safetensors"));
    int n_checked = 0;
    const auto cases = testing::load_json(file).at("cases");
    for (const auto& fixture : cases) {
      if (fixture.at("name") != "parametric_eq_fsm") continue;
      const auto& p = fixture.at("params");
      const auto value = [&](const std::string& name) { return p.at(name).get<double>(); };
      Sections sections{low_shelf_section(value("low_shelf_cutoff_freq"), value("low_shelf_q_factor"),
                                          value("low_shelf_gain_db"), 44100)};
      for (const std::string band : {"band0", "band1", "band2", "band3"}) {
        sections.push_back(
            peak_section(value(band + "_cutoff_freq"), value(band + "_q_factor"), value(band + "_gain_db"), 44100));
      }
      sections.push_back(high_shelf_section(value("high_shelf_cutoff_freq"), value("high_shelf_q_factor"),
                                            value("high_shelf_gain_db"), 44100));
      auto samples = golden.at("x").values;  // [2, n]
      const auto half = samples.size() / 2;
      for (const auto channel : {std::span(samples).first(half), std::span(samples).last(half)}) {
        SectionState state;
        filter_sections(sections, channel, state);
      }
      EXPECT_TRUE(testing::near_all(golden.at("parametric_eq_iir").values, samples, 1e-9));
      ++n_checked;
    }
    EXPECT_EQ(n_checked, 1) << file;
  }
}

}  // namespace
}  // namespace melisma
