// Every stage of matching against Matchering 2.0.6's numbers (golden/matching/README.md).
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "infer/match/match.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
using ::testing::AssertionResult;
using testing::json_numbers;
using testing::near_all;
using Json = nlohmann::json;

MatchConfig config_of(const Json& wanted) {
  MatchConfig config;
  const auto take = [](const Json& table, const char* name, auto& value) {
    if (table.contains(name)) value = table.at(name).get<std::remove_reference_t<decltype(value)>>();
  };
  take(wanted, "max_piece_size_s", config.max_piece_s);
  take(wanted, "threshold", config.threshold);
  take(wanted, "fft_size", config.fft_size);
  take(wanted, "lin_log_oversampling", config.oversampling);
  take(wanted, "rms_correction_steps", config.corrections);
  take(wanted, "lowess_frac", config.lowess_share);
  take(wanted, "lowess_it", config.lowess_rounds);
  take(wanted, "lowess_delta", config.lowess_delta);
  const auto limiter = wanted.value("limiter", Json::object());
  take(limiter, "attack", config.limiter.attack_ms);
  take(limiter, "hold", config.limiter.hold_ms);
  take(limiter, "release", config.limiter.release_ms);
  take(limiter, "attack_filter_coefficient", config.limiter.attack_coefficient);
  take(limiter, "hold_filter_order", config.limiter.hold_order);
  take(limiter, "hold_filter_coefficient", config.limiter.hold_hz);
  take(limiter, "release_filter_order", config.limiter.release_order);
  take(limiter, "release_filter_coefficient", config.limiter.release_coefficient);
  return config;
}

StereoSignal render(const Json& recipe, const Json& check) {
  auto channels = testing::render_recipe(recipe);
  EXPECT_TRUE(testing::recipe_matches_check(channels, check));
  return {channels.front(), channels.back(), recipe.at("sr").get<std::int64_t>()};
}

void expect_near(const char* what, double expected, double got, double relative, double absolute = 1e-300) {
  EXPECT_NEAR(got, expected, absolute + relative * std::abs(expected)) << what;
}

void expect_levels(const Json& expected, const PieceSizes& sizes, const PieceLevels& got) {
  EXPECT_EQ(sizes.divisions, expected.at("divisions"));
  EXPECT_EQ(sizes.piece, expected.at("piece"));
  EXPECT_TRUE(near_all(json_numbers(expected.at("rmses")), got.rmses, 1e-15, 1e-9));
  expect_near("average", expected.at("average"), got.average, 1e-9);
  expect_near("match_rms", expected.at("match_rms"), got.match_rms, 1e-9);
  EXPECT_EQ(got.loudest, expected.at("loudest").get<std::vector<std::int64_t>>());
}

std::vector<double> at_bins(const std::vector<double>& values, const Json& bins) {
  std::vector<double> chosen;
  for (const auto& bin : bins) chosen.push_back(values.at(bin.get<std::size_t>()));
  return chosen;
}

// A channel that is all zero in the reference has spectra of rounding here, 0 there.
void expect_curve(const Json& spectrum, const Json& fir, const std::vector<double>& target,
                  const std::vector<double>& reference, const MatchCurve& got) {
  const auto& bins = spectrum.at("bins");
  EXPECT_TRUE(near_all(json_numbers(spectrum.at("target")), at_bins(target, bins), 1e-15, 1e-8));
  EXPECT_TRUE(near_all(json_numbers(spectrum.at("reference")), at_bins(reference, bins), 1e-15, 1e-8));
  EXPECT_TRUE(near_all(json_numbers(spectrum.at("ratio")), at_bins(got.ratio, bins), 1e-10, 1e-8));
  const auto smoothed = json_numbers(spectrum.at("smoothed"));
  double peak = 0;
  for (const double value : smoothed) peak = std::max(peak, std::abs(value));
  EXPECT_TRUE(near_all(smoothed, at_bins(got.smoothed, bins), 1e-10 + 1e-6 * peak));
  EXPECT_EQ(got.n_clamped, spectrum.at("clamped_bins"));
  EXPECT_EQ(std::ssize(got.taps), fir.at("length"));
  double sum = 0, energy = 0;
  for (const double tap : got.taps) sum += tap, energy += tap * tap;
  expect_near("sum of taps", fir.at("sum"), sum, 1e-6, 1e-9);
  expect_near("energy of taps", fir.at("sum2"), energy, 1e-6, 1e-12);
}

struct Rendered {
  std::vector<double> left, right;
};

Rendered all_of(const MatchedSong& song, MatchFinish finish) {
  const auto n = song.filtered.left.size();
  Rendered result{std::vector<double>(n), std::vector<double>(n)};
  song.render(finish, 0, result.left, result.right);
  return result;
}

void expect_statistics(const char* what, const Json& expected, const std::vector<double>& left,
                       const std::vector<double>& right) {
  double peak = 0, left2 = 0, right2 = 0, mid2 = 0, side2 = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const double mid = (left[i] + right[i]) / 2, side = (left[i] - right[i]) / 2;
    peak = std::max({peak, std::abs(left[i]), std::abs(right[i])});
    left2 += left[i] * left[i], right2 += right[i] * right[i], mid2 += mid * mid, side2 += side * side;
  }
  const auto rms = [&](double sum) { return std::sqrt(sum / static_cast<double>(left.size())); };
  const auto scope = ::testing::ScopedTrace(__FILE__, __LINE__, what);
  EXPECT_EQ(std::ssize(left), expected.at("n"));
  expect_near("peak", expected.at("peak"), peak, 1e-9);
  expect_near("rms_left", expected.at("rms_left"), rms(left2), 1e-9);
  expect_near("rms_right", expected.at("rms_right"), rms(right2), 1e-9);
  expect_near("rms_mid", expected.at("rms_mid"), rms(mid2), 1e-9);
  expect_near("rms_side", expected.at("rms_side"), rms(side2), 1e-9, 1e-10);
}

// The fixture's tensors, where they are: slices [positions, 96, 2] of a rendered result.
AssertionResult slices_agree(const testing::GoldenTensor& expected, const Json& positions,
                             const std::vector<double>& left, const std::vector<double>& right) {
  std::vector<double> got;
  for (const auto& position : positions) {
    for (std::size_t i = position.get<std::size_t>(), end = i + 96; i < end; ++i) {
      got.push_back(left.at(i));
      got.push_back(right.at(i));
    }
  }
  return near_all(expected.values, got, 1e-6);
}

void expect_limiter(const Json& expected, const std::vector<double>& gain, std::int64_t n_over) {
  EXPECT_EQ(!gain.empty(), expected.at("active").get<bool>());
  if (gain.empty()) return;
  const auto least = std::min_element(gain.begin(), gain.end());
  double sum = 0;
  for (const double value : gain) sum += value;
  EXPECT_EQ(n_over, expected.at("samples_over"));
  EXPECT_NEAR(*least, expected.at("gain_min").get<double>(), 1e-9);
  EXPECT_EQ(least - gain.begin(), expected.at("gain_argmin"));
  EXPECT_NEAR(sum / static_cast<double>(gain.size()), expected.at("gain_mean").get<double>(), 1e-9);
}

void expect_tensors(const Json& expected, const testing::GoldenFile& tensors, const MatchedSong& song,
                    const MatchConfig& config) {
  const std::string name = expected.at("name");
  const auto& positions = expected.at("slice_positions");
  const auto curve = [&](const std::string& part, const std::vector<double>& got) {
    const auto& tensor = tensors.at(name + "." + part);
    double peak = 0;
    for (const double value : tensor.values) peak = std::max(peak, std::abs(value));
    EXPECT_TRUE(near_all(tensor.values, got, 1e-10 + 1e-6 * peak)) << part;
  };
  curve("fir_mid", song.record.mid.taps);
  curve("fir_side", song.record.side.taps);
  if (tensors.has(name + ".ratio_mid")) {
    EXPECT_TRUE(near_all(tensors.at(name + ".ratio_mid").values, song.record.mid.ratio, 1e-10, 1e-8));
    EXPECT_TRUE(near_all(tensors.at(name + ".ratio_side").values, song.record.side.ratio, 1e-10, 1e-8));
    curve("smoothed_mid", song.record.mid.smoothed);
    curve("smoothed_side", song.record.side.smoothed);
  }
  EXPECT_TRUE(slices_agree(tensors.at(name + ".convolved_slices"), positions, song.filtered.left, song.filtered.right));
  for (const auto& [part, finish] : {std::pair{"result", MatchFinish::limited},
                                     {"no_limiter", MatchFinish::unlimited},
                                     {"normalized", MatchFinish::normalised}}) {
    const auto rendered = all_of(song, finish);
    EXPECT_TRUE(slices_agree(tensors.at(name + "." + part + "_slices"), positions, rendered.left, rendered.right))
        << part;
  }
  if (song.limiter->gain.empty()) return;
  LimiterStages stages;
  const auto gain = limiter_gain(song.filtered, song.record.peak / song.level, song.level, config, &stages).gain;
  const auto window = [&](const std::vector<double>& all) {
    const auto first = all.begin() + expected.at("limiter").at("window_start").get<std::ptrdiff_t>();
    return std::vector<double>(first, first + 256);
  };
  EXPECT_TRUE(near_all(tensors.at(name + ".gain_around_min").values, window(gain), 1e-9));
  EXPECT_TRUE(near_all(tensors.at(name + ".attack_around_min").values, window(stages.attack), 1e-9));
  for (std::size_t i = 0; i < gain.size(); ++i) stages.release[i] = std::max(stages.hold[i], stages.release[i]);
  EXPECT_TRUE(near_all(tensors.at(name + ".release_around_min").values, window(stages.release), 1e-9));
  const auto step = expected.at("limiter").at("gain_step").get<std::size_t>();
  std::vector<double> sparse;
  for (std::size_t i = 0; i < gain.size(); i += step) sparse.push_back(gain[i]);
  EXPECT_TRUE(near_all(tensors.at(name + ".gain_every_" + std::to_string(step)).values, sparse, 1e-9));
}

void expect_case(const Json& expected, const testing::GoldenFile* tensors) {
  const auto scope = ::testing::ScopedTrace(__FILE__, __LINE__, expected.at("name").get<std::string>());
  const auto config = config_of(expected.at("config"));
  const auto& signals = expected.at("signals");
  const auto reference = render(signals.at("reference"), signals.at("reference_check"));
  const auto profile = reference_profile(reference, config);
  expect_near("amplitude", expected.at("final_amplitude_coefficient"), profile.final_amplitude, 1e-9);
  expect_levels(expected.at("reference"), profile.sizes, profile.levels);

  const auto song = match_to(render(signals.at("target"), signals.at("target_check")), profile, config);
  const auto& record = song.record;
  expect_levels(expected.at("target"), record.sizes, record.target);
  expect_near("coefficient", expected.at("rms_coefficient"), record.level_coefficient, 1e-9);
  expect_curve(expected.at("spectrum_mid"), expected.at("fir_mid"), record.target_spectra.mid, profile.spectra.mid,
               record.mid);
  expect_curve(expected.at("spectrum_side"), expected.at("fir_side"), record.target_spectra.side, profile.spectra.side,
               record.side);
  expect_statistics("convolved", expected.at("convolved"), song.filtered.left, song.filtered.right);
  std::vector<double> coefficients;
  for (std::size_t round = 0; round < record.corrections.size(); ++round) {
    coefficients.push_back(record.corrections[round].coefficient);
    const auto& pieces = expected.at("correction_pieces").at(round);
    EXPECT_EQ(record.corrections[round].levels.loudest, pieces.at("loudest").get<std::vector<std::int64_t>>());
    expect_near("corrected", pieces.at("match_rms"), record.corrections[round].levels.match_rms, 1e-9);
  }
  EXPECT_TRUE(near_all(json_numbers(expected.at("corrections")), coefficients, 0, 1e-9));
  ASSERT_TRUE(song.limiter.has_value());
  expect_limiter(expected.at("limiter"), song.limiter->gain, song.limiter->n_over);
  for (const auto& [part, finish] : {std::pair{"result", MatchFinish::limited},
                                     {"no_limiter", MatchFinish::unlimited},
                                     {"no_limiter_normalized", MatchFinish::normalised}}) {
    const auto rendered = all_of(song, finish);
    expect_statistics(part, expected.at(part), rendered.left, rendered.right);
  }
  if (tensors != nullptr) expect_tensors(expected, *tensors, song, config);
}

TEST(GoldenMatching, EveryStageOfEveryPairIsMatcherings) {
  const auto [has_topic, files] = testing::golden_files("matching", "matchering", ".json");
  if (!has_topic) GTEST_SKIP() << "no golden/matching";
  for (const auto& file : files) {
    const auto fixture = testing::load_json(file);
    auto with_tensors = file;
    with_tensors.replace_extension(".safetensors");  // over a megabyte: only where all fixtures are
    std::optional<testing::GoldenFile> tensors;
    if (exists(with_tensors)) tensors = testing::GoldenFile::load(with_tensors);
    ASSERT_FALSE(fixture.at("cases").empty());
    for (const auto& expected : fixture.at("cases")) expect_case(expected, tensors ? &*tensors : nullptr);
  }
}

}  // namespace
}  // namespace melisma
