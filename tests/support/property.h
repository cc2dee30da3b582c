// Properties that hold for whatever RapidCheck thinks of. Every run tries the same cases; a failing one is made as
// small as it can be and shown.
#pragma once
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace melisma::testing {

// Tries `n_cases` cases from a fixed seed. Arguments are drawn by their types, more inside with *rc::gen::...:
//
//   EXPECT_TRUE(holds(200, [](const std::vector<float>& x) { RC_ASSERT(decoded(encoded(x)) == x); }));
template <class Property>
::testing::AssertionResult holds(int n_cases, Property&& property) {
  struct Quiet final : rc::detail::TestListener {
    void onTestCaseFinished(const rc::detail::CaseDescription&) override {}
    void onShrinkTried(const rc::detail::CaseDescription&, bool) override {}
    void onTestFinished(const rc::detail::TestMetadata&, const rc::detail::TestResult&) override {}
  } listener;
  rc::detail::TestParams parameters;
  parameters.seed = 0x6d656c69736d61;
  parameters.maxSuccess = n_cases;
  const auto property_of_cases = rc::detail::toProperty(std::forward<Property>(property));
  const auto result = rc::detail::checkProperty(property_of_cases, {}, parameters, listener, {});
  if (result.template is<rc::detail::SuccessResult>()) return ::testing::AssertionSuccess();
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  return ::testing::AssertionFailure() << text.str();
}

// Text as people and programs write it: letters, quotes, escapes, line ends, control characters, several alphabets.
inline rc::Gen<std::string> any_text() {
  return rc::gen::map(
      rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(std::vector<std::string>{
          "a",      "Z",   "7",       " ",    "\"", "'", "\\",   "\n",   "\r\n", "\t", "#", "=",  "[",
          "]",      "{",   "}",       ",",    ".",  "-", "\x01", "\x1b", "\x7f", "é",  "ß", "声", "\xf0\x9f\x8e\xa4",
          "\"\"\"", "'''", "\\u0041", "true", "inf"})),
      [](const std::vector<std::string>& pieces) {
        std::string text;
        for (const auto& piece : pieces) text += piece;
        return text;
      });
}

// Any finite number: of all sizes, with both zeros and the smallest.
inline rc::Gen<double> any_finite() {
  return rc::gen::map(rc::gen::arbitrary<std::uint64_t>(), [](std::uint64_t bits) {
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return std::isfinite(value) ? value : 0.0;
  });
}

}  // namespace melisma::testing
