// Cut positions against those of Applio, RVC-WebUI and librosa (golden/dsp/slicing, golden/rvc/preprocess).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "data/audio/iir.h"
#include "data/audio/slicing.h"
#include "tests/support/golden.h"

namespace melisma {

static void PrintTo(const SampleRange& range, std::ostream* out) {
  *out << '[' << range.first << ", " << range.last << ')';
}

namespace {
using testing::golden_files;
using testing::GoldenFile;
using testing::load_json;

using Ranges = std::vector<SampleRange>;

Ranges ranges_of(const nlohmann::json& pairs) {
  Ranges ranges;
  for (const auto& pair : pairs) ranges.push_back({pair.at(0).get<std::int64_t>(), pair.at(1).get<std::int64_t>()});
  return ranges;
}

// Rows [first, last, ...] of a fixture tensor.
Ranges ranges_of(const testing::GoldenTensor& tensor) {
  Ranges ranges;
  const auto width = static_cast<std::size_t>(tensor.shape.at(1));
  for (std::size_t row = 0; row < tensor.values.size() / width; ++row) {
    ranges.push_back({static_cast<std::int64_t>(tensor.values[row * width]),
                      static_cast<std::int64_t>(tensor.values[row * width + 1])});
  }
  return ranges;
}

// In blocks of an odd size, as a long file arrives.
Ranges sliced_in_blocks(std::span<const float> samples, std::int64_t rate_hz, const SilenceSlicerConfig& config) {
  SilenceSlicer slicer(config, rate_hz);
  for (; !samples.empty(); samples = samples.subspan(std::min<std::size_t>(997, samples.size()))) {
    slicer.push(samples.first(std::min<std::size_t>(997, samples.size())));
  }
  return slicer.finish();
}

TEST(GoldenSlicing, SilenceSlicerSplitAndTrimCutWhereThePeersCut) {
  const auto found = golden_files("dsp", "slicing", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no dsp fixtures";
  for (const auto& file : found.files) {
    const auto cases = load_json(file).at("cases");
    ASSERT_FALSE(cases.empty());
    for (const auto& fixture : cases) {
      SCOPED_TRACE(fixture.at("name").get<std::string>());
      const auto channels = testing::render_recipe(fixture.at("signal"));
      ASSERT_TRUE(testing::recipe_matches_check(channels, fixture.at("check")));
      const std::vector<float> wave(channels[0].begin(), channels[0].end());
      const auto rate_hz = fixture.at("signal").at("sr").get<std::int64_t>();
      for (const auto& preset : fixture.at("slicer")) {
        SCOPED_TRACE(preset.at("preset").get<std::string>());
        const auto& given = preset.at("params");
        const SilenceSlicerConfig config{.threshold_db = given.at("threshold"),
                                         .min_length_ms = given.at("min_length"),
                                         .min_interval_ms = given.at("min_interval"),
                                         .hop_ms = given.at("hop_size"),
                                         .max_kept_ms = given.at("max_sil_kept")};
        const std::array<std::int64_t, 5> parameters{preset.at("hop"), preset.at("win"), preset.at("min_length_frames"),
                                                     preset.at("min_interval_frames"),
                                                     preset.at("max_sil_kept_frames")};
        EXPECT_EQ(SilenceSlicer(config, rate_hz).parameters(), parameters);
        EXPECT_EQ(slice_at_silence(wave, rate_hz, config), ranges_of(preset.at("chunks")));
        EXPECT_EQ(sliced_in_blocks(wave, rate_hz, config), ranges_of(preset.at("chunks")));
      }
      for (const auto& [top_db, ranges] : fixture.at("librosa_split").items()) {
        EXPECT_EQ(split_by_level(wave, std::stod(top_db)), ranges_of(ranges)) << "split at " << top_db << " dB";
      }
      for (const auto& [top_db, range] : fixture.at("librosa_trim").items()) {
        const SampleRange expected{range.at(0).get<std::int64_t>(), range.at(1).get<std::int64_t>()};
        EXPECT_EQ(trim_by_level(wave, std::stod(top_db)), expected) << "trim at " << top_db << " dB";
      }
    }
  }
}

// x[n] = fp32(amplitude * sin(2 pi Hz n / rate) + 1e-4 u_n(name)), n counted from the start of the file.
std::vector<float> render_segments(const nlohmann::json& segments, std::int64_t rate_hz,
                                   const std::string& noise_name) {
  std::vector<double> amplitudes, frequencies;
  for (const auto& segment : segments) {
    const auto length =
        static_cast<std::size_t>(std::nearbyint(segment.at(0).get<double>() * static_cast<double>(rate_hz)));
    amplitudes.insert(amplitudes.end(), length, segment.at(1).get<double>());
    frequencies.insert(frequencies.end(), length, segment.at(2).get<double>());
  }
  const auto noise = testing::formula_numbers(noise_name, static_cast<std::int64_t>(amplitudes.size()));
  std::vector<float> wave(amplitudes.size());
  for (std::size_t n = 0; n < wave.size(); ++n) {
    const double phase = 2 * std::numbers::pi * frequencies[n] * static_cast<double>(n) / static_cast<double>(rate_hz);
    wave[n] = static_cast<float>(amplitudes[n] * std::sin(phase) + 1e-4 * noise[n]);
  }
  return wave;
}

class GoldenPreprocess : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = golden_files("rvc", "preprocess", ".safetensors");
    if (!found.has_topic) GTEST_SKIP() << "no rvc fixtures";
    ASSERT_EQ(found.files.size(), 1u);
    golden_ = GoldenFile::load(found.files.front());
  }
  // The files' names are slicer.<case>.<rate>...: calls visit(case, rate, wave) for each with tensors of that prefix.
  template <class Visit>
  void for_each_recording(const std::string& prefix, const std::string& suffix, Visit visit) {
    const auto segments = golden_.json("segments");
    int n_visited = 0;
    for (const auto& [name, tensor] : golden_.tensors) {
      if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
      SCOPED_TRACE(name);
      const auto which = name.substr(prefix.size(), 1);
      const auto rate_hz = std::stoll(name.substr(prefix.size() + 2));
      visit(tensor, rate_hz, render_segments(segments.at(which), rate_hz, fmt::format("slicer/{}/{}", which, rate_hz)));
      ++n_visited;
    }
    EXPECT_GT(n_visited, 0) << "no fixture " << prefix << "*" << suffix;
  }
  GoldenFile golden_;
};

TEST_F(GoldenPreprocess, SilenceSlicerKeepsTheSameRanges) {
  for_each_recording("slicer.", ".begin_end", [](const auto& expected, std::int64_t rate_hz, const auto& wave) {
    EXPECT_EQ(slice_at_silence(wave, rate_hz), ranges_of(expected));
    EXPECT_EQ(sliced_in_blocks(wave, rate_hz, {}), ranges_of(expected));
  });
  for_each_recording("slicer.", ".params", [](const auto& expected, std::int64_t rate_hz, const auto&) {
    const auto parameters = SilenceSlicer({}, rate_hz).parameters();
    EXPECT_TRUE(testing::near_all(expected.values, std::vector<double>(parameters.begin(), parameters.end()), 0));
  });
}

Ranges sliced(const SlicingConfig& config, std::int64_t rate_hz, std::span<const float> wave) {
  Slicer slicer(config, rate_hz);
  slicer.push(wave);
  return slicer.finish();
}

TEST_F(GoldenPreprocess, AutomaticModeCutsWindowsAsApplio) {
  for_each_recording("auto_applio.", ".begin_end", [](const auto& expected, std::int64_t rate_hz, const auto& wave) {
    EXPECT_EQ(sliced({}, rate_hz, wave), ranges_of(expected));
  });
}

TEST_F(GoldenPreprocess, AutomaticModeCutsWindowsAsWebui) {
  for_each_recording("auto_webui.", ".begin_end_idx1",
                     [](const auto& expected, std::int64_t rate_hz, const auto& wave) {
                       EXPECT_EQ(sliced({.windows = "webui"}, rate_hz, wave), ranges_of(expected));
                     });
}

TEST_F(GoldenPreprocess, AutomaticModeAfterTheHighPassGivesTheSameLengths) {
  for_each_recording("auto_applio_highpass.", ".lengths", [](const auto& expected, std::int64_t rate_hz, auto wave) {
    HighPass high_pass(rate_hz);
    high_pass.process(wave);
    std::vector<double> lengths;
    for (const auto& range : sliced({}, rate_hz, wave)) lengths.push_back(static_cast<double>(range.length()));
    ASSERT_EQ(lengths.size(), expected.values.size());
    EXPECT_TRUE(testing::near_all(expected.values, lengths, 0));
  });
}

TEST_F(GoldenPreprocess, SimpleModeCutsFixedWindows) {
  for_each_recording("simple_applio.", ".count_len", [](const auto& expected, std::int64_t rate_hz, const auto& wave) {
    const auto ranges = sliced({.mode = "simple"}, rate_hz, wave);
    ASSERT_EQ(static_cast<double>(ranges.size()), expected.values[0]);
    for (const auto& range : ranges) EXPECT_EQ(static_cast<double>(range.length()), expected.values[1]);
  });
}

TEST_F(GoldenPreprocess, SplittingAtLevelsFindsTheIntervalsOfApplioConversion) {
  const auto about = golden_.json("split");
  for (const std::int64_t rate_hz : {16000}) {
    auto wave = render_segments(about.at("segments"), rate_hz, about.at("noise_name"));
    for (auto& sample : wave) {
      if (std::abs(sample) < 1.5e-4f) sample *= 0.01f;
    }
    EXPECT_EQ(split_by_level(wave, 60, rate_hz / 4, rate_hz / 8), ranges_of(golden_.at("split.intervals")));
  }
}

}  // namespace
}  // namespace melisma
