#include "tools/base/metrics_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

using ::testing::HasSubstr;

ScalarsEvent scalars(std::int64_t step) {
  return {
      .step = step, .epoch = step / 10, .phase = "train", .values = {{"loss/mel", 1.0 / static_cast<double>(step)}}};
}

void write_steps(const std::filesystem::path& path, std::optional<std::int64_t> resumed,
                 std::vector<std::int64_t> all) {
  MetricsFileSink sink(path, resumed);
  for (const auto step : all) sink.receive(scalars(step));
  sink.flush();
}

std::vector<std::int64_t> steps_in(const std::filesystem::path& path) {
  std::vector<std::int64_t> found;
  for (const auto& line : read_metrics_file(path)) found.push_back(line.step);
  return found;
}

TEST(MetricsFile, KeepsWhatHappenedInOrder) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  {
    MetricsFileSink sink(path);
    sink.receive(ScalarsEvent{.step = 7, .epoch = 2, .phase = "validation", .values = {{"z", 0.1}, {"a", NAN}}});
    sink.receive(MessageEvent{Severity::warning, "caf\xe9 skipped"});  // not UTF-8
    sink.receive(MessageEvent{Severity::info, "chatter"});
    sink.receive(DecisionEvent{.step = 8, .epoch = 2, .about = "overtraining", .decision = "stop", .reason = "rising"});
  }
  const auto lines = read_metrics_file(path);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].phase, "validation");
  ASSERT_EQ(lines[0].values.size(), 2u);
  EXPECT_EQ(lines[0].values[0], (std::pair<std::string, double>{"z", 0.1}));
  EXPECT_TRUE(std::isnan(lines[0].values[1].second));
  EXPECT_EQ(lines[1].kind, "message");
  EXPECT_EQ(lines[1].step, 7);
  EXPECT_THAT(lines[1].text, HasSubstr("skipped"));
  EXPECT_EQ(lines[2].reason, "rising");
}

TEST(MetricsFile, AResumeDropsWhatTheAbandonedContinuationWrote) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  write_steps(path, 0, {10, 20, 30, 40});
  write_steps(path, 20, {25, 35});
  EXPECT_THAT(steps_in(path), ::testing::ElementsAre(10, 20, 25, 35));
  write_steps(path, std::nullopt, {50});
  EXPECT_THAT(steps_in(path), ::testing::ElementsAre(10, 20, 25, 35, 50));
  write_steps(path, 0, {1});
  EXPECT_THAT(steps_in(path), ::testing::ElementsAre(1));
}

TEST(MetricsFile, AnyTruncationReadsAndContinues) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  write_steps(path, 0, {10, 20});
  const auto whole = read_file(path);
  for (std::size_t n = 0; n <= whole.size(); n += 7) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, n);
    EXPECT_LE(steps_in(path).size(), 2u);
    MetricsFileSink(path).receive(scalars(30));
    EXPECT_EQ(steps_in(path).back(), 30);
  }
}

TEST(MetricsFile, NamesALineThatIsNotOne) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  write_steps(path, 0, {10});
  write_file_atomically(path, read_file(path) + "{\"kind\":3}\n");
  try {
    (void)read_metrics_file(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("metrics.jsonl' line 2 is not a line of metrics"));
  }
}

TEST(MetricsFile, AMissingFolderIsAnErrorThatNamesThePath) {
  EXPECT_THROW(MetricsFileSink("/nowhere/metrics.jsonl"), Error);
  EXPECT_TRUE(read_metrics_file("/nowhere/metrics.jsonl").empty());
}

}  // namespace
}  // namespace melisma
