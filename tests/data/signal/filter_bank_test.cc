#include "data/signal/filter_bank.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/signal/ragged.h"
#include "data/signal/sinc_peak.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {

std::vector<double> random_numbers(std::size_t n, std::uint32_t seed) {
  testing::Lcg source(seed);
  std::vector<double> numbers(n);
  for (auto& x : numbers) x = source.next();
  return numbers;
}

TEST(FilterBank, EqualsItsDefinitionInEveryBlock) {
  const auto signal = random_numbers(3000, 1);
  const std::vector<FirFilter> filters{{random_numbers(101, 2), 51}, {random_numbers(8, 3), 0}, {{2.0}, 5}};
  const FilterBank bank(filters, 700);
  ASSERT_GE(bank.block(), 700);
  const auto sample = [&](std::int64_t i) { return i < 0 || i >= 3000 ? 0 : signal[static_cast<std::size_t>(i)]; };
  const auto read = [&](std::int64_t first, std::span<double> samples) {
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = sample(first + static_cast<std::int64_t>(i));
  };
  int blocks = 0;
  for (std::int64_t first = 0; first < 3000; first += bank.block(), ++blocks) {
    std::int64_t expected_filter = 0;
    bank.apply(read, first, [&](std::int64_t f, const double* got) {
      EXPECT_EQ(f, expected_filter++);
      const auto& filter = filters[static_cast<std::size_t>(f)];
      for (std::int64_t i = 0; i < bank.block(); ++i) {
        double sum = 0;
        for (std::size_t k = 0; k < filter.taps.size(); ++k) {
          sum += filter.taps[k] * sample(first + i + filter.advance - static_cast<std::int64_t>(k));
        }
        ASSERT_NEAR(got[i], sum, 1e-12) << "filter " << f << " sample " << first + i;
      }
    });
    EXPECT_EQ(expected_filter, 3);
  }
  EXPECT_GT(blocks, 1);
}

TEST(SincPeak, ReadsABandLimitedCurveBetweenItsSamples) {
  std::vector<double> curve(400);
  const auto value = [](double x) { return std::cos(0.11 * (x - 200.3)) + 0.2 * std::cos(0.5 * (x - 200.3)); };
  for (std::size_t i = 0; i < curve.size(); ++i) curve[i] = value(static_cast<double>(i));
  for (const double x : {150.25, 200.0, 200.3, 201.9}) EXPECT_NEAR(sinc_interpolated(curve, x, 70), value(x), 1e-4);
  EXPECT_EQ(sinc_interpolated(curve, 200.0, 70), curve[200]);
  EXPECT_EQ(sinc_interpolated(curve, -3, 70), curve.front());
  EXPECT_EQ(sinc_interpolated(curve, 1000, 70), curve.back());
  const auto peak = sinc_peak(curve, 200, 70);
  EXPECT_NEAR(peak.place, 200.3, 1e-3);
  EXPECT_NEAR(peak.value, 1.2, 1e-4);
}

TEST(SincPeak, FindsTheHighestPlaceOfWhatItInterpolates) {
  auto curve = random_numbers(200, 9);
  for (std::int64_t i = 20; i < 180; ++i) {
    const auto k = static_cast<std::size_t>(i);
    if (!(curve[k] > curve[k - 1] && curve[k] >= curve[k + 1])) continue;
    const auto peak = sinc_peak(curve, i, 15);
    EXPECT_GE(peak.value, curve[k]);
    for (double distance = 1e-3; distance < 0.01; distance += 1e-3) {
      EXPECT_GE(peak.value, sinc_interpolated(curve, peak.place - distance, 15)) << i;
      EXPECT_GE(peak.value, sinc_interpolated(curve, peak.place + distance, 15)) << i;
    }
  }
}

TEST(Ragged, KeepsRowsOfDifferentLengthsApart) {
  using Rows = Ragged<int>;
  Rows a, b;
  a.add(std::vector{1, 2});
  a.add({});
  b.add(std::vector{3});
  const auto all = Rows::joined({a, Rows{}, b});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(std::vector(all[0].begin(), all[0].end()), (std::vector{1, 2}));
  EXPECT_TRUE(all[1].empty());
  EXPECT_EQ(std::vector(all[2].begin(), all[2].end()), std::vector{3});
}

}  // namespace
}  // namespace melisma
