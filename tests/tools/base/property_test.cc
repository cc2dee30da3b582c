// What holds for any file content, any course of work and any number that is shown.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "tests/support/golden.h"
#include "tests/support/property.h"
#include "tools/base/atomic_file.h"
#include "tools/base/format.h"
#include "tools/base/rate.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

using testing::any_finite;
using testing::holds;

TEST(AtomicFileProperty, TheContentIsThatOfTheLastWriteThatEnded) {
  EXPECT_TRUE(holds(30, [] {
    const testing::TemporaryFolder folder;
    const auto path = folder / "file";
    std::optional<std::string> expected;
    for (int turn = *rc::gen::inRange(1, 8); turn > 0; --turn) {
      const auto content = *rc::gen::arbitrary<std::string>();
      const auto way = *rc::gen::inRange(0, 4);
      const auto half = [&](const fs::path& temporary) {
        std::ofstream(temporary, std::ios::binary) << content;
        if (way == 2) throw std::runtime_error("given up");
      };
      if (way == 0) write_file_atomically(path, std::string_view(content));
      if (way == 1) write_file_atomically(path, std::as_bytes(std::span(content)));
      if (way == 2) RC_ASSERT_THROWS_AS(write_file_atomically(path, half), std::runtime_error);
      if (way == 3) write_file_atomically(path, half);
      if (way != 2) expected = content;
      RC_ASSERT(fs::exists(path) == expected.has_value());
      if (expected) RC_ASSERT(read_file(path) == *expected);
      // Nothing else is left beside it.
      RC_ASSERT(std::distance(fs::directory_iterator(folder.path()), {}) == (expected ? 1 : 0));
    }
  }));
}

TEST(AtomicFileProperty, AFolderIsTheLastOneThatWasFilled) {
  EXPECT_TRUE(holds(20, [] {
    const testing::TemporaryFolder folder;
    const auto path = folder / "made";
    std::map<std::string, std::string> expected;
    for (int turn = *rc::gen::inRange(1, 5); turn > 0; --turn) {
      std::map<std::string, std::string> files;
      for (int n = *rc::gen::inRange(0, 4); n > 0; --n)
        files[fmt::format("f{}", n)] = *rc::gen::arbitrary<std::string>();
      const bool fails = *rc::gen::arbitrary<bool>();
      const auto fill = [&](const fs::path& temporary) {
        for (const auto& [name, content] : files) std::ofstream(temporary / name, std::ios::binary) << content;
        if (fails) throw std::runtime_error("given up");
      };
      if (fails) {
        RC_ASSERT_THROWS_AS(write_folder_atomically(path, fill), std::runtime_error);
      } else {
        write_folder_atomically(path, fill);
        expected = files;
      }
      std::map<std::string, std::string> found;
      if (fs::exists(path)) {
        for (const auto& entry : fs::directory_iterator(path)) {
          found[entry.path().filename().string()] = read_file(entry.path());
        }
      }
      RC_ASSERT(found == expected);
    }
  }));
}

TEST(RateProperty, SteadyWorkHasItsRateHoweverOftenOneLooks) {
  EXPECT_TRUE(holds(300, [] {
    const double rate = std::exp2(*rc::gen::inRange(-20, 20)), window = *rc::gen::inRange(1, 60);
    RateEstimator estimator(window);
    double now = *rc::gen::inRange(0, 1000000), done = *rc::gen::inRange(0, 1000);
    estimator.observe(done, now);
    RC_ASSERT(!estimator.per_second());
    for (int look = *rc::gen::inRange(1, 40); look > 0; --look) {
      const double elapsed = *rc::gen::inRange(1, 4000) / 256.0;  // exact in binary
      now += elapsed;
      done += rate * elapsed;
      estimator.observe(done, now);
    }
    RC_ASSERT(std::abs(*estimator.per_second() / rate - 1) < 1e-9);
    RC_ASSERT(*estimator.seconds_left(done) == 0);
    RC_ASSERT(std::abs(*estimator.seconds_left(done + 10 * rate) - 10) < 1e-6);
    RC_ASSERT(*estimator.seconds_left(done - 1) == 0);
  }));
}

TEST(RateProperty, WhateverIsObservedNothingIsNegativeOrNoNumber) {
  EXPECT_TRUE(holds(300, [] {
    RateEstimator estimator(5);
    double now = 0, done = 0;
    for (int look = *rc::gen::inRange(1, 30); look > 0; --look) {
      now += *rc::gen::inRange(0, 300) / 100.0;
      done = *rc::gen::inRange(0, 6) == 0 ? 0 : done + *rc::gen::inRange(0, 50);  // a smaller one starts over
      estimator.observe(done, now);
      if (const auto rate = estimator.per_second()) RC_ASSERT(std::isfinite(*rate) && *rate >= 0);
      if (const auto left = estimator.seconds_left(100)) RC_ASSERT(std::isfinite(*left) && *left >= 0);
    }
  }));
}

// The number a text begins with, and what follows.
std::pair<double, std::string> number_and_unit(const std::string& text) {
  std::size_t used = 0;
  const double number = std::stod(text, &used);
  return {number, text.substr(used)};
}

TEST(FormatProperty, CountsReadBackToTheSameNumber) {
  EXPECT_TRUE(holds(300, [](std::int64_t count) {
    auto text = format_count(count);
    for (std::size_t at = text.size(); at > (count < 0 ? 5u : 4u); at -= 4) RC_ASSERT(text[at - 4] == ',');
    std::erase(text, ',');
    RC_ASSERT(text == std::to_string(count));
  }));
}

TEST(FormatProperty, BytesAndValuesReadBackAsNearAsTheirDigits) {
  EXPECT_TRUE(holds(300, [](std::uint64_t bits) {
    const auto bytes = bits >> *rc::gen::inRange(0, 64);
    const auto [number, unit] = number_and_unit(format_bytes(bytes));
    const std::map<std::string, double> factors{{" B", 1},        {" KiB", 0x1p10}, {" MiB", 0x1p20},
                                                {" GiB", 0x1p30}, {" TiB", 0x1p40}, {" PiB", 0x1p50}};
    RC_ASSERT(factors.contains(unit));
    RC_ASSERT(std::abs(number * factors.at(unit) - static_cast<double>(bytes)) <= 0.0527 * static_cast<double>(bytes));
  }));
  EXPECT_TRUE(holds(300, [] {
    const double value = *any_finite();
    RC_ASSERT(std::abs(std::strtod(format_value(value).c_str(), nullptr) - value) <= 0.000501 * std::abs(value));
  }));
}

// What format_seconds says, in seconds.
double seconds_of(const std::string& text) {
  const std::map<std::string, double> factors{{"ms", 0.001}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
  std::istringstream words(text);
  double number = 0, sum = 0;
  for (std::string unit; words >> number >> unit;) sum += number * factors.at(unit);
  return sum;
}

TEST(FormatProperty, TimesReadBackWithinTheirSmallestUnitAndKeepTheirOrder) {
  EXPECT_TRUE(holds(500, [] {
    const double seconds = std::exp2(*rc::gen::inRange(-10000, 22000) / 1000.0);
    const auto text = format_seconds(seconds);
    RC_LOG(fmt::format("{} -> {}", seconds, text));
    const double resolution = seconds < 1       ? 0.001
                              : seconds < 10    ? 0.1
                              : seconds < 3599  ? 1
                              : seconds < 86300 ? 60
                                                : 3600;
    RC_ASSERT(std::abs(seconds_of(text) - seconds) <= 0.51 * resolution);
    RC_ASSERT(seconds_of(format_seconds(1.2 * seconds)) >= seconds_of(text));
  }));
  for (const double odd : {-1.0, std::nan(""), static_cast<double>(INFINITY)}) EXPECT_EQ(format_seconds(odd), "?");
}

}  // namespace
}  // namespace melisma
