#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "infer/features/content.h"
#include "infer/features/recording_pieces.h"
#include "models/catalogue/weights_folder.h"
#include "models/content/hubert_file.h"
#include "tests/support/small_hubert.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::drawn_hubert;
using ::testing::HasSubstr;
using testing::noise_wave;
using ::testing::Not;
using testing::small_hubert_config;
using testing::TemporaryFolder;
using testing::write_hubert;

// Two encoders that differ in their weights alone, in a folder that is no folder of weights.
class HubertContent : public ::testing::Test {
 protected:
  HubertContent() { ::setenv("MELISMA_WEIGHTS", (folder_ / "weights").c_str(), 1); }
  ~HubertContent() override { ::unsetenv("MELISMA_WEIGHTS"); }
  static ContentConfig layer(std::int64_t number, bool projection, const fs::path& weights) {
    return {.method = "hubert",
            .weights = weights.string(),
            .hubert = {.output = "layer", .layer = number, .projection = projection}};
  }
  static std::string message_of(ErrorKind kind, const auto& action) {
    try {
      (void)action();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return "accepted";
  }
  TemporaryFolder folder_;
  std::unique_ptr<Hubert> network_ = drawn_hubert();
  fs::path file_ = write_hubert(folder_ / "one.safetensors", *network_);
  fs::path other_ = write_hubert(folder_ / "other.safetensors", *drawn_hubert(small_hubert_config(), 12));
  ContentConfig config_ = layer(2, false, file_);
};

std::vector<float> rows_of(const at::Tensor& made) {
  const auto flat = made.contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
  }
  return largest;
}

TEST_F(HubertContent, EachRowOfTheNetworkIsTwoFrames) {
  const auto wave = noise_wave(16000, 3);
  const std::vector<std::span<const float>> waves{wave};
  for (const bool projection : {false, true}) {
    const auto config = layer(1, projection, file_);
    const auto expected = rows_of((*network_)(waves, {.layer = 1, .projection = projection})[0]);
    const auto features = extract_content(wave, config);
    ASSERT_EQ(features.width, projection ? 16 : 64);
    EXPECT_EQ(content_width(config), features.width);
    ASSERT_EQ(features.n_frames, 100);
    const auto frame = [&](std::int64_t t) {
      const auto begin = features.values.begin() + t * features.width;
      return std::vector<float>(begin, begin + features.width);
    };
    for (std::int64_t t = 0; t < 100; ++t) {
      const auto row = std::min<std::int64_t>(t / 2, 48);  // 49 rows fit; the last is held
      const auto begin = expected.begin() + row * features.width;
      EXPECT_LT(largest_difference(frame(t), std::vector<float>(begin, begin + features.width)), 1e-5) << t;
    }
  }
}

TEST_F(HubertContent, RecordingsOfAnyLengthHaveTheirFrames) {
  for (const std::int64_t n : {0, 159, 160, 399, 400, 719, 720, 48000, 48077}) {
    const auto wave = noise_wave(n, 5);
    const auto features = extract_content(wave, config_);
    EXPECT_EQ(features.n_frames, n / 160) << n;
    EXPECT_EQ(std::ssize(features.values), features.n_frames * 64) << n;
    EXPECT_EQ(extract_raw_content(wave, config_).n_frames, (n / 160 + 1) / 2) << n;
    for (const auto x : features.values) ASSERT_TRUE(std::isfinite(x)) << n;
  }
}

TEST_F(HubertContent, AClipDoesNotDependOnTheClipsItComesWith) {
  std::vector<std::vector<float>> clips;
  for (const auto n : {48000, 100, 3000, 0, 700000, 24123})
    clips.push_back(noise_wave(n, static_cast<std::uint32_t>(n)));
  const std::vector<std::span<const float>> spans(clips.begin(), clips.end());
  const auto together = extract_raw_content(spans, config_, 1), parallel = extract_raw_content(spans, config_, 3);
  ASSERT_EQ(together.size(), clips.size());
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const auto alone = extract_raw_content(clips[i], config_, 1);
    EXPECT_LT(largest_difference(together[i].values, alone.values), 1e-5) << i;
    EXPECT_LT(largest_difference(parallel[i].values, alone.values), 1e-5) << i;
  }
}

TEST_F(HubertContent, SamplesThatAreNoNumbersAreSilence) {
  auto wave = noise_wave(8000, 9);
  auto silenced = wave;
  for (std::size_t i = 2000; i < 2100; ++i) wave[i] = std::nanf(""), silenced[i] = 0;
  EXPECT_EQ(extract_content(wave, config_).values, extract_content(silenced, config_).values);
}

TEST_F(HubertContent, KeysAreOfTheWeightsAndNotOfTheirPath) {
  const auto copy = folder_ / "copy.safetensors";
  fs::copy_file(file_, copy);
  const auto key = key_of(config_);
  EXPECT_EQ(key.kind, "content");
  EXPECT_EQ(key.parameters, R"({"method":"hubert","weights_sha256":")" + sha256_of_weights(file_) +
                                R"(","hubert":{"layer":2,"projection":false,"arithmetic":"fp32"},"revision":1})");
  EXPECT_EQ(key_of(layer(2, false, copy)).parameters, key.parameters);
  EXPECT_NE(key_of(layer(2, false, other_)).parameters, key.parameters);
  EXPECT_NE(key_of(layer(1, false, file_)).parameters, key.parameters);
  EXPECT_NE(key_of(layer(2, true, file_)).parameters, key.parameters);
  auto read = content_config_of(key.parameters);
  EXPECT_EQ(read.weights, "");
  read.weights = config_.weights;
  EXPECT_EQ(key_of(read).parameters, key.parameters);
  EXPECT_EQ(extract_content(noise_wave(1600, 1), read).values, extract_content(noise_wave(1600, 1), config_).values);
}

TEST_F(HubertContent, ANamedOutputIsTheLayerItStandsFor) {
  const ContentConfig v1{.method = "hubert", .weights_sha256 = "00", .hubert = {.output = "v1"}};
  EXPECT_THAT(key_of(v1).parameters, HasSubstr(R"({"layer":9,"projection":true,)"));
  EXPECT_EQ(content_config_of(key_of(v1).parameters).hubert.output, "v1");
  const ContentConfig twelve{.method = "hubert", .weights_sha256 = "00", .hubert = {.output = "layer", .layer = 12}};
  EXPECT_EQ(content_config_of(key_of(twelve).parameters).hubert.output, "v2");
  EXPECT_EQ(usual_content_width(v1), 256);
  EXPECT_EQ(usual_content_width(twelve), 768);
}

TEST_F(HubertContent, StoredFeaturesAreFoundWithoutTheirWeights) {
  auto unnamed = config_;
  unnamed.weights.clear();
  const auto stored = key_of(config_);
  const std::vector<FeatureKey> one{key_of(ContentConfig{}), key_of(layer(1, false, other_)), stored};
  EXPECT_EQ(key_of(content_as_stored(unnamed, one)).parameters, stored.parameters);
  EXPECT_EQ(content_as_stored(unnamed, {}), unnamed);
  const std::vector<FeatureKey> two{stored, key_of(layer(2, false, other_))};
  EXPECT_THAT(message_of(ErrorKind::config, [&] { return content_as_stored(unnamed, two); }),
              HasSubstr(sha256_of_weights(other_)));
  EXPECT_EQ(key_of(content_as_stored(layer(2, false, other_), two)).parameters, two[1].parameters);
}

TEST_F(HubertContent, OtherWeightsThanThoseOfTheKeyAreRefused) {
  auto config = content_config_of(key_of(config_).parameters);
  const auto wave = noise_wave(1600, 1);
  const auto absent = message_of(ErrorKind::checkpoint, [&] { return extract_content(wave, config); });
  EXPECT_THAT(absent, HasSubstr(config.weights_sha256));
  EXPECT_THAT(absent, HasSubstr("--content-weights"));
  config.weights = other_.string();
  const auto wrong = message_of(ErrorKind::checkpoint, [&] { return extract_content(wave, config); });
  EXPECT_THAT(wrong, HasSubstr("weights of SHA-256 " + config.weights_sha256 + ", but '" + other_.string() + "' has " +
                               sha256_of_weights(other_)));
  config.weights.clear();
  fs::create_directories(folder_ / "weights");
  fs::copy_file(file_, folder_ / "weights/whatever.safetensors");
  EXPECT_EQ(extract_content(wave, config).values, extract_content(wave, config_).values);
}

TEST_F(HubertContent, OutputsTheNetworkHasNotAreRefused) {
  const auto wave = noise_wave(1600, 1);
  EXPECT_THAT(message_of(ErrorKind::config, [&] { return extract_content(wave, layer(3, false, file_)); }),
              HasSubstr("layer 3 is asked for, but '" + file_.string() + "' has 2"));
  auto without = small_hubert_config();
  without.projection = 0;
  const auto file = write_hubert(folder_ / "without.safetensors", *drawn_hubert(without));
  EXPECT_THAT(message_of(ErrorKind::config, [&] { return extract_content(wave, layer(1, true, file)); }),
              HasSubstr("has no 'final_proj.weight'"));
  EXPECT_THAT(message_of(ErrorKind::config, [&] { return extract_content(wave, {.method = "hubert"}); }),
              HasSubstr("pytorch_model.bin"));
  auto slow = small_hubert_config();
  slow.conv_kernels = {10, 3, 3};
  slow.conv_strides = {5, 2, 2};
  slow.conv_channels = {8, 8, 8};
  EXPECT_THAT(message_of(ErrorKind::checkpoint,
                         [&] {
                           return extract_content(
                               wave, layer(1, false, write_hubert(folder_ / "slow.safetensors", *drawn_hubert(slow))));
                         }),
              Not(HasSubstr("accepted")));
}

// 80 s of noise, silent for 0.2 s at 28.0 s and 57.0 s.
std::vector<float> recording_with_two_pauses() {
  auto wave = noise_wave(80 * 16000, 21);
  for (const auto second : {28, 57}) {
    for (std::int64_t i = 0; i < 3200; ++i) wave[static_cast<std::size_t>(second * 16000 + i)] = 0;
  }
  return wave;
}

TEST(RecordingPieces, CutWhereItIsQuietAndCoverEverything) {
  const auto wave = recording_with_two_pauses();
  const auto pieces = recording_pieces(wave, 3999);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].keep.first, 0);
  EXPECT_EQ(pieces[2].keep.last, 3999);
  for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
    EXPECT_EQ(pieces[i].keep.last, pieces[i + 1].keep.first);
    EXPECT_EQ(pieces[i].compute.last, pieces[i].keep.last + kContextRows);
    EXPECT_EQ(pieces[i + 1].compute.first, pieces[i].keep.last - kContextRows);
    const auto pause = (i == 0 ? 28 : 57) * 50;
    EXPECT_GE(pieces[i].keep.last, pause);
    EXPECT_LE(pieces[i].keep.last, pause + 10);
  }
  EXPECT_EQ(recording_pieces(wave, kWholeRows).size(), 1u);
  EXPECT_EQ(recording_pieces(wave, kWholeRows + 1).size(), 2u);
  EXPECT_TRUE(recording_pieces({}, 0).empty());
}

TEST_F(HubertContent, ALongRecordingIsItsPieces) {
  const auto wave = recording_with_two_pauses();
  const auto whole = extract_raw_content(wave, config_);
  ASSERT_EQ(whole.n_frames, 4000);
  for (const auto& piece : recording_pieces(wave, 3999)) {
    const auto first = static_cast<std::size_t>(piece.compute.first * kRowSamples);
    const auto end =
        piece.keep.last == 3999 ? wave.size() : static_cast<std::size_t>(piece.compute.last * kRowSamples + 80);
    const auto part = std::span(wave).subspan(first, end - first);
    const auto alone = extract_raw_content(part, config_);
    const auto from = (piece.keep.first - piece.compute.first) * 64, n = piece.keep.length() * 64;
    const auto expected = std::vector<float>(alone.values.begin() + from, alone.values.begin() + from + n);
    const auto at = whole.values.begin() + piece.keep.first * 64;
    EXPECT_LT(largest_difference(std::vector<float>(at, at + n), expected), 1e-5) << piece.keep.first;
  }
}

}  // namespace
}  // namespace melisma
