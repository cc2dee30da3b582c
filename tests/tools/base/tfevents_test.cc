#include "tools/base/tfevents.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <numbers>

#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/crc32c.h"
#include "tools/base/hash.h"
#include "tools/base/media.h"
#include "tools/base/tensorboard_sink.h"

namespace melisma {
namespace {

using testing::golden_files;
using testing::load_json;
using testing::near_all;

std::string bytes_of_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string hex_of_bytes(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) {
    const char* digits = "0123456789abcdef";
    hex += digits[static_cast<unsigned char>(byte) >> 4];
    hex += digits[static_cast<unsigned char>(byte) & 15];
  }
  return hex;
}

// The description of each event file of the topic, with the file beside it.
struct Fixture {
  nlohmann::json expected;
  std::string bytes;
};

std::vector<Fixture> tfevents_fixtures() {
  std::vector<Fixture> fixtures;
  for (const auto& path : golden_files("tfevents", "tfevents", ".json").files) {
    auto expected = load_json(path);
    auto bytes = read_file(path.parent_path() / expected["file"].get<std::string>());
    fixtures.push_back({std::move(expected), std::move(bytes)});
  }
  return fixtures;
}

void expect_value(const TfValue& value, const nlohmann::json& expected) {
  EXPECT_EQ(value.tag, expected["tag"]);
  EXPECT_EQ(value.plugin, expected["plugin"]);
  const std::string type = expected["type"];
  if (type == "simple_value") {
    EXPECT_EQ(value.kind, "scalar");
    EXPECT_EQ(static_cast<double>(value.scalar), expected["value"].get<double>());
  } else if (type == "audio") {
    EXPECT_EQ(value.sample_rate_hz, expected["sample_rate"]);
    EXPECT_EQ(value.n_samples, expected["frames"]);
    EXPECT_EQ(value.encoded.size(), expected["bytes"]);
    EXPECT_EQ(sha256(value.encoded), expected["sha256"]);
  } else if (type == "image") {
    EXPECT_EQ(value.height, expected["height"]);
    EXPECT_EQ(value.width, expected["width"]);
    EXPECT_EQ(value.encoded.size(), expected["bytes"]);
  } else if (type == "histo") {
    EXPECT_EQ(value.histogram.bucket_limit, expected["bucket_limit"].get<std::vector<double>>());
    EXPECT_EQ(value.histogram.bucket, expected["bucket"].get<std::vector<double>>());
    EXPECT_EQ(value.histogram.sum_squares, expected["sum_squares"].get<double>());
  } else {
    EXPECT_EQ(type, "tensor");
    EXPECT_EQ(value.strings, expected["string"].get<std::vector<std::string>>());
  }
}

TEST(GoldenTfEvents, ReadsEveryRecordOfTensorBoardsOwnWriter) {
  const auto fixtures = tfevents_fixtures();
  if (fixtures.empty()) GTEST_SKIP() << "no tfevents fixtures";
  for (const auto& [expected, bytes] : fixtures) {
    EXPECT_EQ(sha256(bytes), expected["sha256"]);
    const auto read = parse_tfevents(bytes);
    EXPECT_EQ(read.stopped, "");
    ASSERT_EQ(read.events.size(), expected["records"].size());
    for (std::size_t i = 0; i < read.events.size(); ++i) {
      const auto& event = read.events[i];
      const auto& record = expected["records"][i];
      EXPECT_EQ(event.offset, record["offset"]);
      EXPECT_EQ(event.length, record["length"]);
      EXPECT_EQ(event.wall_time, record["wall_time"].get<double>());
      EXPECT_EQ(event.step, record["step"]);
      EXPECT_EQ(masked_crc32c(bytes.substr(event.offset, 8)), record["masked_crc_length"]);
      EXPECT_EQ(masked_crc32c(bytes.substr(event.offset + 12, event.length)), record["masked_crc_data"]);
      if (record["kind"] == "file_version") {
        EXPECT_EQ(event.file_version, record["file_version"]);
        continue;
      }
      ASSERT_EQ(event.values.size(), record["values"].size());
      for (std::size_t k = 0; k < event.values.size(); ++k) expect_value(event.values[k], record["values"][k]);
    }
  }
}

TEST(GoldenTfEvents, WritesTheSameBytesForTheSameRecords) {
  for (const auto& [expected, bytes] : tfevents_fixtures()) {
    const auto& singles = expected["single_records"];
    ASSERT_EQ(singles.size(), 4u);
    const TfHistogram histogram{
        .min = -1, .max = 2, .num = 3, .sum = 1, .sum_squares = 5, .bucket_limit = {0, 1, 2}, .bucket = {1, 1, 1}};
    const std::string ours[] = {tfevents_header(1.0), tfevents_scalar(2.0, 7, "loss", 0.5f),
                                tfevents_histogram(3.5, 300, "h", histogram),
                                tfevents_scalar(4.0, -1, "neg", INFINITY)};
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(hex_of_bytes(tfevents_record(ours[i])), singles[i]["hex"].get<std::string>()) << singles[i]["event"];
    }
  }
}

TEST(GoldenTfEvents, ChecksumsMatch) {
  for (const auto& [expected, bytes] : tfevents_fixtures()) {
    for (const auto& example : expected["crc32c"]) {
      const auto text = bytes_of_hex(example["hex"]);
      EXPECT_EQ(fmt::format("{:08x}", crc32c(text)), example["crc32c"].get<std::string>());
      EXPECT_EQ(fmt::format("{:08x}", masked_crc32c(text)), example["masked"].get<std::string>());
    }
  }
}

TEST(GoldenTfEvents, SoundAndHistogramMatchTheirWriters) {
  for (const auto& [expected, bytes] : tfevents_fixtures()) {
    std::vector<float> tone;
    for (int i = 0; i < 800; ++i) {
      tone.push_back(static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * 440 * i / 8000)));
    }
    testing::Lcg lcg(1301);
    std::vector<float> noise;
    for (int i = 0; i < 1000; ++i) noise.push_back(static_cast<float>(lcg.next()));
    for (const auto& record : expected["records"]) {
      if (record["kind"] != "summary") continue;
      const auto& value = record["values"][0];
      if (value["type"] == "audio") {
        EXPECT_EQ(sha256(wav_bytes(tone, 8000)), value["sha256"]);
      }
      if (value["tag"] == "weights/fc1") {
        const auto ours = tf_histogram_of(noise);
        EXPECT_EQ(ours.bucket, value["bucket"].get<std::vector<double>>());
        EXPECT_TRUE(near_all(value["bucket_limit"].get<std::vector<double>>(), ours.bucket_limit, 0, 1e-15));
        EXPECT_NEAR(ours.sum, value["sum"], 1e-4);
        EXPECT_NEAR(ours.sum_squares, value["sum_squares"], 1e-3);
        EXPECT_NEAR(ours.min, value["min"], 1e-7);  // the fixture counted doubles
        EXPECT_NEAR(ours.max, value["max"], 1e-7);
      }
    }
  }
}

TEST(GoldenTfEvents, AnyTruncationStopsCleanly) {
  for (const auto& [expected, bytes] : tfevents_fixtures()) {
    const auto whole = parse_tfevents(bytes);
    for (std::size_t n = 0; n <= bytes.size(); n += n < 3000 ? 1 : 37) {
      const auto read = parse_tfevents(std::string_view(bytes).substr(0, n));
      std::size_t expected_events = 0;
      bool is_boundary = n == 0;
      for (const auto& event : whole.events) {
        const auto end = event.offset + event.length + 16;
        if (end <= n) ++expected_events;
        if (end == n) is_boundary = true;
      }
      ASSERT_EQ(read.events.size(), expected_events) << n;
      ASSERT_EQ(read.stopped.empty(), is_boundary) << n << read.stopped;
    }
  }
}

TEST(TfEvents, ADamagedRecordIsNoticed) {
  const auto good = tfevents_record(tfevents_header(1)) + tfevents_record(tfevents_scalar(2, 3, "x", 1));
  ASSERT_EQ(parse_tfevents(good).events.size(), 2u);
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_NE(parse_tfevents(bad).stopped, "") << i;
  }
}

TEST(TfHistogram, CountsWhatIsFinite) {
  const std::vector<float> values{0.0f, 1.0f, -1.0f, NAN, INFINITY, 3e38f};
  const auto histogram = tf_histogram_of(values);
  EXPECT_EQ(histogram.num, 4);
  EXPECT_EQ(histogram.bucket.size(), histogram.bucket_limit.size());
  EXPECT_TRUE(tf_histogram_of({}).bucket.empty());
}

TEST(TensorBoardSink, WritesEveryKindOfEventAndForgetsLaterStepsOnResume) {
  const testing::TemporaryFolder folder;
  std::filesystem::path path;
  {
    TensorBoardSink sink(folder.path(), 40);
    path = sink.path();
    EXPECT_TRUE(path.filename().string().starts_with("events.out.tfevents."));
    sink.receive(ScalarsEvent{.step = 41, .epoch = 2, .phase = "train", .values = {{"loss/mel", 2}, {"loss/kl", NAN}}});
    sink.receive(AudioEvent{.tag = "sample", .step = 41, .sample_rate_hz = 8000, .samples = {0.f, 0.5f, NAN, 9.f}});
    sink.receive(ImageEvent{.tag = "mel", .step = 41, .height = 1, .width = 2, .rgb = {1, 2, 3, 4, 5, 6}});
    sink.receive(HistogramEvent{.tag = "weights", .step = 41, .values = {1, 2, 3}});
    sink.receive(HyperparametersEvent{.settings = {{"lr", "0.0001"}, {"name", "\"a\""}, {"ema", "true"}},
                                      .metrics = {"validation/mel_distance"}});
    sink.receive(
        DecisionEvent{.step = 41, .epoch = 2, .about = "overtraining", .decision = "stop", .reason = "rising"});
    sink.receive(MessageEvent{});
    sink.receive(ProgressEvent{});
    sink.flush();
  }
  const auto read = read_tfevents(path);
  EXPECT_EQ(read.stopped, "");
  ASSERT_EQ(read.events.size(), 10u);
  EXPECT_TRUE(read.events[1].is_restart);
  EXPECT_EQ(read.events[1].step, 41);
  std::vector<std::string> kinds, plugins;
  for (std::size_t i = 2; i < read.events.size(); ++i) {
    kinds.push_back(read.events[i].values.at(0).kind);
    plugins.push_back(read.events[i].values.at(0).plugin);
  }
  EXPECT_THAT(kinds, ::testing::ElementsAre("scalar", "scalar", "audio", "image", "histogram", "", "", "tensor"));
  EXPECT_THAT(plugins, ::testing::ElementsAre("", "", "", "", "", "hparams", "hparams", "text"));
  EXPECT_EQ(hex_of_bytes(read.events[4].values[0].encoded.substr(44)), "0000ff3f0000ff7f");
  EXPECT_EQ(read.events[9].values[0].strings.at(0), "epoch 2: **stop** rising");
}

}  // namespace
}  // namespace melisma
