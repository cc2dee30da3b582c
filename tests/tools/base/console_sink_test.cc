#include "tools/base/console_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tools/base/format.h"
#include "tools/base/rate.h"

namespace melisma {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A console whose screen is a string and whose clock is turned by hand.
struct FakeConsole {
  std::string screen;
  double now = 100;
  ConsoleSink sink;
  explicit FakeConsole(bool is_terminal, int width = 80)
      : sink(Console{.write = [this](std::string_view text) { screen += text; },
                     .now_seconds = [this] { return now; },
                     .width_columns = [width] { return width; },
                     .is_terminal = is_terminal,
                     .has_colour = false}) {}
  void progress(double done, double total) {
    sink.receive(ProgressEvent{.task = "preparing", .done = done, .total = total, .unit = "files", .details = {}});
  }
  // What stands on the last line now.
  [[nodiscard]] std::string last_line() const {
    const auto erased = screen.rfind("\r\x1b[2K");
    const auto broken = screen.rfind('\n');
    if (erased != std::string::npos && (broken == std::string::npos || erased > broken))
      return screen.substr(erased + 5);
    return broken == std::string::npos ? screen : screen.substr(broken + 1);
  }
};

TEST(ConsoleSink, SaysMessagesOnALineEach) {
  FakeConsole console(false);
  say(console.sink, "hello");
  warn(console.sink, "careful");
  console.sink.receive(MessageEvent{Severity::error, "broken"});
  console.sink.receive(
      DecisionEvent{.step = 1, .epoch = 1, .about = "overtraining", .decision = "stop", .reason = "why"});
  EXPECT_EQ(console.screen, "hello\nwarning: careful\nerror: broken\novertraining: stop (why)\n");
}

TEST(ConsoleSink, TellsAnIntervalInOneLine) {
  EXPECT_EQ(scalars_line({.step = 150,
                          .epoch = 3,
                          .phase = "train",
                          .values = {{"loss/mel", 21.43},
                                     {"loss/kl", 1.2},
                                     {"grad_norm/generator", 35.125},
                                     {"lr/generator", 1e-4},
                                     {"lr/discriminator", 1e-4},
                                     {"items_per_second", 4.2},
                                     {"seconds_left", 185}}}),
            "step 150 | epoch 3 | loss mel 21.43 kl 1.2 | grad_norm generator 35.12 | lr 0.0001 | 4.2 items/s | "
            "3 min 05 s left");
}

TEST(ConsoleSink, LeavesAValidationOfOneNumberToTheEngine) {
  EXPECT_EQ(scalars_line({.step = 1, .epoch = 1, .phase = "validation", .values = {{"validation/mel", 1}}}), "");
  EXPECT_EQ(scalars_line(
                {.step = 1, .epoch = 1, .phase = "validation", .values = {{"validation/a", 1}, {"validation/b", NAN}}}),
            "step 1 | epoch 1 | validation a 1 b nan");
}

TEST(ConsoleSink, AFileIsCountedWhenItIsDone) {
  FakeConsole terminal(true);
  terminal.progress(0, 1);
  terminal.now += 1;
  terminal.progress(0.7, 1);
  EXPECT_THAT(terminal.last_line(), HasSubstr(" 70 % 0/1 file | "));
  FakeConsole log(false);
  log.progress(0, 1);
  log.now += 31;
  log.progress(0.56, 1);
  EXPECT_THAT(log.screen, ::testing::StartsWith("preparing: 56 % | 0/1 file | "));
  FakeConsole many(false);
  many.progress(0, 3);
  many.now += 31;
  many.progress(1.9999999999, 3);  // two, but for rounding
  EXPECT_THAT(many.screen, ::testing::StartsWith("preparing: 2/3 files | "));
}

TEST(ConsoleSink, DrawsABarOnATerminalAndTakesItAwayWhenDone) {
  FakeConsole console(true);
  console.progress(0, 40);
  console.now += 1;
  console.progress(10, 40);
  EXPECT_EQ(console.last_line(), "preparing [#####.................]  25 % 10/40 files | 10 files/s | 3.0 s left");
  say(console.sink, "one line");
  EXPECT_THAT(console.screen, HasSubstr("\r\x1b[2Kone line\n"));
  EXPECT_THAT(console.last_line(), HasSubstr("10/40 files"));  // the bar stands below the message
  console.progress(40, 40);
  EXPECT_EQ(console.last_line(), "");
}

TEST(ConsoleSink, NeverDrawsMoreThanTenTimesASecond) {
  FakeConsole console(true);
  for (int i = 0; i < 1000; ++i) {
    console.now += 0.001;
    console.progress(i, 5000);
  }
  std::size_t draws = 0;
  for (auto at = console.screen.find('\r'); at != std::string::npos; at = console.screen.find('\r', at + 1)) ++draws;
  EXPECT_LE(draws, 11u);
}

TEST(ConsoleSink, CutsTheBarToTheTerminal) {
  FakeConsole console(true, 30);
  console.progress(0, 40);
  console.now += 1;
  console.progress(10, 40);
  EXPECT_LE(console.last_line().size(), 29u);
}

TEST(ConsoleSink, WritesSparseLinesElsewhere) {
  FakeConsole console(false);
  for (int second = 0; second < 100; ++second) {
    console.progress(second, 99);
    console.now += 1;
  }
  EXPECT_EQ(console.screen,
            "preparing: 30/99 files | 1 files/s | 1 min 09 s left\n"
            "preparing: 60/99 files | 1 files/s | 39 s left\n"
            "preparing: 90/99 files | 1 files/s | 9.0 s left\n"
            "preparing: 99 files in 1 min 39 s\n");
  FakeConsole quick(false);
  quick.progress(0, 5);
  quick.progress(5, 5);
  EXPECT_EQ(quick.screen, "");
}

TEST(ConsoleSink, CountsWithoutATotal) {
  FakeConsole console(true);
  console.progress(0, 0);
  console.now += 1;
  console.progress(3, 0);
  EXPECT_EQ(console.last_line(), "preparing 3 files | 3 files/s");
}

TEST(RateEstimator, ForgetsWhatIsLongAgo) {
  RateEstimator rate(30);
  EXPECT_FALSE(rate.per_second().has_value());
  double done = 0;
  for (int second = 0; second < 100; ++second) rate.observe(done += 1, second);
  for (int second = 100; second < 200; ++second) rate.observe(done += 5, second);
  EXPECT_NEAR(rate.per_second().value(), 5.0, 1e-9);
  EXPECT_NEAR(rate.seconds_left(done + 50).value(), 10.0, 1e-9);
}

TEST(RateEstimator, DoesNotCountWorkBeforeItsFirstObservation) {
  RateEstimator rate;
  rate.observe(1000, 0);
  rate.observe(1002, 1);
  EXPECT_NEAR(rate.per_second().value(), 2.0, 1e-9);
  rate.observe(0, 2);  // a new task starts over
  EXPECT_FALSE(rate.per_second().has_value());
  EXPECT_FALSE(rate.seconds_left(5).has_value());
}

TEST(Format, WritesTimesSizesAndCountsForPeople) {
  EXPECT_EQ(format_seconds(0.0851), "85 ms");
  EXPECT_EQ(format_seconds(4.21), "4.2 s");
  EXPECT_EQ(format_seconds(59.4), "59 s");
  EXPECT_EQ(format_seconds(185), "3 min 05 s");
  EXPECT_EQ(format_seconds(7620), "2 h 07 min");
  EXPECT_EQ(format_seconds(4 * 86400 + 3 * 3600), "4 d 03 h");
  EXPECT_EQ(format_seconds(NAN), "?");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(720ull << 20), "720 MiB");
  EXPECT_EQ(format_count(-1234567), "-1,234,567");
  EXPECT_EQ(format_count(123), "123");
  EXPECT_EQ(format_rate(0.08, "steps"), "12.5 s/step");
  EXPECT_EQ(format_rate(3.21, "batches"), "3.21 batches/s");
  EXPECT_EQ(format_amount(1, "files"), "1 file");
  EXPECT_EQ(format_amount(2.25, "s of audio"), "2.2 s of audio");
}

}  // namespace
}  // namespace melisma
