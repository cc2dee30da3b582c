// Presets: written, read again, refused when damaged or made otherwise, imported from pickles.
#include "infer/match/preset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using testing::refusal_of;

StereoSignal noise(std::size_t n, std::uint32_t seed, double amplitude, double colour) {
  testing::Lcg random(seed);
  StereoSignal signal{std::vector<double>(n), std::vector<double>(n), 44100};
  double low = 0;
  for (std::size_t i = 0; i < n; ++i) {
    low += colour * (random.next() - low);
    const double side = 0.2 * amplitude * random.next();
    signal.left[i] = amplitude * low + side;
    signal.right[i] = amplitude * low - side;
  }
  return signal;
}

MatchPreset preset_of(const StereoSignal& signal, const std::string& name) {
  return {name, profile_with_loudness(signal, {}), {}};
}

TEST(MatchPresets, AreReadAsTheyWereWritten) {
  const testing::TemporaryFolder folder;
  const auto written = preset_of(noise(1500000, 1, 0.4, 0.3), "a song");
  ASSERT_GT(written.profile.sizes.divisions, 1);
  write_preset(folder / "p.safetensors", written);
  const auto read = read_preset(folder / "p.safetensors");
  EXPECT_EQ(read.name, "a song");
  const auto &found = read.profile, &made = written.profile;
  EXPECT_EQ(found.spectra.mid, made.spectra.mid);
  EXPECT_EQ(found.spectra.side, made.spectra.side);
  EXPECT_EQ(found.levels.rmses, made.levels.rmses);
  EXPECT_EQ(found.levels.loudest, made.levels.loudest);
  EXPECT_EQ(found.levels.match_rms, made.levels.match_rms);
  EXPECT_EQ(found.final_amplitude, made.final_amplitude);
  EXPECT_EQ(found.sizes.piece, made.sizes.piece);
  EXPECT_EQ(found.n_frames, made.n_frames);
  EXPECT_EQ(found.spectra.n_frames, made.spectra.n_frames);
  EXPECT_EQ(found.loudness.integrated_lufs, made.loudness.integrated_lufs);
  EXPECT_EQ(found.level_quantiles, made.level_quantiles);
  require_same_analysis(read, {});
}

TEST(MatchPresets, MatchAsTheirRecordingDoes) {
  const testing::TemporaryFolder folder;
  const auto reference = noise(500000, 2, 0.9, 0.8), target = noise(400000, 3, 0.1, 0.2);
  write_preset(folder / "p.safetensors", preset_of(reference, "r"));
  const auto by_preset = match_to(target, read_preset(folder / "p.safetensors").profile, {});
  const auto by_recording = match_to(target, reference_profile(reference, {}), {});
  EXPECT_TRUE(by_preset.filtered.left == by_recording.filtered.left);
  EXPECT_EQ(by_preset.level, by_recording.level);
  EXPECT_EQ(by_preset.final_amplitude, by_recording.final_amplitude);
}

TEST(MatchPresets, OtherAnalysesAreRefusedInModeExact) {
  const auto preset = preset_of(noise(100000, 1, 0.4, 0.3), "a");
  const auto refused = [&](const MatchConfig& config) {
    return refusal_of(ErrorKind::config, [&] { require_same_analysis(preset, config); });
  };
  const std::string rest = "; analyze its recording with --exact and these settings, or match in mode improved";
  EXPECT_EQ(refused({.sample_rate_hz = 48000}),
            "the preset 'a' was made with sample_rate_hz 44100, expected 48000" + rest);
  EXPECT_EQ(refused({.fft_size = 2048}), "the preset 'a' was made with fft_size 4096, expected 2048" + rest);
  EXPECT_EQ(refused({.max_piece_s = 10}), "the preset 'a' was made with max_piece_s 15, expected 10" + rest);
  EXPECT_EQ(refused({.threshold = 0.5}),
            "the preset 'a' was made with threshold 0.998138427734375, expected 0.5" + rest);
}

TEST(MatchPresets, DamagedOnesAreRefused) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "p.safetensors";
  write_preset(path, preset_of(noise(100000, 1, 0.4, 0.3), "a"));
  const auto refused = [&](const std::string& bytes) {
    write_file_atomically(path, bytes);
    return refusal_of(ErrorKind::checkpoint, [&] { (void)read_preset(path); });
  };
  const auto whole = read_file(path);
  auto changed = whole;
  changed[changed.size() - 3] ^= 1;
  EXPECT_THAT(refused(changed), HasSubstr("it is damaged"));
  EXPECT_NE(refused(whole.substr(0, whole.size() - 8)), "no error");
  auto renamed = whole;
  renamed.replace(renamed.find("melisma-match"), 13, "something-els");
  EXPECT_THAT(refused(renamed), HasSubstr("it is no match preset; make the preset again with melisma match analyze"));
  auto later = whole;
  const std::string version = "\\\"version\\\":1";
  ASSERT_NE(later.find(version), std::string::npos);
  later.replace(later.find(version), version.size(), "\\\"version\\\":7");
  EXPECT_THAT(refused(later), HasSubstr("it is of version 7, this program knows 1"));
  auto impossible = whole;
  const std::string pieces = "\\\"divisions\\\":1";
  ASSERT_NE(impossible.find(pieces), std::string::npos);
  impossible.replace(impossible.find(pieces), pieces.size(), "\\\"divisions\\\":3");
  EXPECT_THAT(refused(impossible), HasSubstr("its 'levels.rms' is not 3 doubles"));
}

TEST(MatchPresets, BandSharesAddUpToAlmostAll) {
  const auto profile = profile_with_loudness(noise(200000, 1, 0.4, 0.3), {});
  double sum = 0;
  for (const auto& band : band_shares(profile)) sum += std::pow(10, band.share_db / 10);
  EXPECT_GT(sum, 0.95);
  EXPECT_LT(sum, 1.0001);
}

// What numpy pickles, of two versions and protocols (golden/match_presets/README.md).
TEST(GoldenMatchPresets, PickledOnesAreImported) {
  const auto [has_topic, files] = testing::golden_files("match_presets", "preset_", ".pkl");
  if (!has_topic) GTEST_SKIP() << "no golden/match_presets";
  const auto expected = testing::load_json(testing::golden_folder("match_presets") / "presets.json");
  for (const auto& file : files) {
    const auto scope = ::testing::ScopedTrace(__FILE__, __LINE__, file.string());
    const auto preset = import_pickled_preset(file, {.fft_size = 256});
    const auto& profile = preset.profile;
    EXPECT_EQ(profile.sizes.divisions, expected.at("pieces"));
    EXPECT_EQ(profile.sizes.piece, expected.at("piece"));
    EXPECT_NEAR(profile.levels.match_rms, expected.at("match_rms").get<double>(), 1e-12);
    EXPECT_NEAR(profile.final_amplitude, expected.at("final_amplitude").get<double>(), 1e-15);
    EXPECT_TRUE(testing::near_all(testing::json_numbers(expected.at("rms")), profile.levels.rmses, 1e-12));
    EXPECT_TRUE(testing::near_all(testing::json_numbers(expected.at("spectrum_mid")), profile.spectra.mid, 1e-12));
    EXPECT_TRUE(testing::near_all(testing::json_numbers(expected.at("spectrum_side")), profile.spectra.side, 1e-12));
  }
}

TEST(GoldenMatchPresets, HostileAndOtherPicklesAreRefused) {
  const auto folder = testing::golden_folder("match_presets");
  if (!exists(folder)) GTEST_SKIP() << "no golden/match_presets";
  const auto refused = [&](const char* name) {
    return refusal_of(ErrorKind::checkpoint, [&] { (void)import_pickled_preset(folder / name, {.fft_size = 256}); });
  };
  EXPECT_THAT(refused("refused_call.pkl"), HasSubstr("its pickle refers to 'posix.system'"));
  EXPECT_EQ(refused("refused_missing.pkl"),
            "it has no 'reference_side_loudest_pieces': no preset of matchering_webapp");
  EXPECT_EQ(refused("refused_objects.pkl"), "its pickle holds a numpy array of 'O8', which are no plain numbers");
  EXPECT_EQ(refused("refused_levels.pkl").substr(0, 28), "its reference_match_rms is 9");
  auto cut = read_file(folder / "preset_numpy2_protocol4.pkl");
  const testing::TemporaryFolder temporary;
  write_file_atomically(temporary / "cut.pkl", cut.substr(0, cut.size() / 2));
  EXPECT_NE(refusal_of(ErrorKind::checkpoint, [&] { (void)import_pickled_preset(temporary / "cut.pkl", {}); }),
            "no error");
}

// A byte changed, or the end cut off: what still reads is a preset, everything else a named refusal.
TEST(GoldenMatchPresets, DamagedPicklesAreReadOrRefused) {
  const auto folder = testing::golden_folder("match_presets");
  if (!exists(folder)) GTEST_SKIP() << "no golden/match_presets";
  const auto whole = read_file(folder / "preset_numpy2_protocol5.pkl");
  const testing::TemporaryFolder temporary;
  testing::Lcg random(4);
  int n_refused = 0;
  for (int round = 0; round < 400; ++round) {
    auto bytes = whole;
    // The names and numbers around the arrays are at both ends; their contents are most of the file.
    const auto at = static_cast<std::size_t>((random.next() + 1) / 2 * 400);
    auto& byte = round % 2 == 0 ? bytes[at] : bytes[bytes.size() - 1 - at];
    byte = static_cast<char>(random.next_state() >> 24);
    if (round % 10 == 0) bytes.resize(at * bytes.size() / 400);
    write_file_atomically(temporary / "p.pkl", bytes);
    try {
      const auto preset = import_pickled_preset(temporary / "p.pkl", {.fft_size = 256});
      EXPECT_GT(preset.profile.levels.match_rms, 0);
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::checkpoint || error.kind() == ErrorKind::data) << error.what();
      ++n_refused;
    }
  }
  EXPECT_GT(n_refused, 100);
}

}  // namespace
}  // namespace melisma
