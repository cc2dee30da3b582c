// Reading golden/metrics/statistics.json in the tests of eval/statistics.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/support/golden.h"

namespace melisma {

// The fixture, or null where the topic's folder is absent.
inline nlohmann::json statistics_fixture() {
  auto path = testing::golden_folder("metrics") / "statistics.json";
  if (!std::filesystem::exists(path)) {
    return nullptr;
  }
  std::ifstream stream(path);
  return nlohmann::json::parse(stream);
}

inline std::vector<double> numbers_of(const nlohmann::json& list) { return list.get<std::vector<double>>(); }

inline ::testing::AssertionResult near_relative(double expected, double got, double tolerance) {
  double error = std::abs(got - expected) / std::max(std::abs(expected), 1e-300);
  if (error <= tolerance) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "expected " << expected << ", got " << got << ", relative error " << error;
}

}  // namespace melisma
