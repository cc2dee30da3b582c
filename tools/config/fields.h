// How a settings struct describes itself: one fields() list gives TOML, --set, help, range checks, signature and the
// reference.
//
//   struct OptimizerConfig {
//     double lr = 1e-4;
//     std::string schedule = "exponential";
//     static constexpr auto fields() {
//       return std::tuple{
//           field("lr", &OptimizerConfig::lr, "step size of AdamW").range(0, 1),
//           field("schedule", &OptimizerConfig::schedule, "how lr falls").choices(kScheduleNames),
//       };
//     }
//   };
//
// Members may be bool, integers, double, std::string, Duration, vectors of these, or structs with fields() of their own
// (a TOML table; their keys are "outer.inner"). Defaults are the member initialisers: nowhere else.
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace melisma {

// A length of training or time with its unit: "2000 steps", "3 epochs", "8 h", "90 min", "30 s", "5 d"; "off" is 0 of
// anything.
struct Duration {
  enum class Unit { off, steps, epochs, seconds };
  double amount = 0;
  Unit unit = Unit::off;
  [[nodiscard]] constexpr bool is_off() const { return unit == Unit::off; }
  // Throws Error(config) naming the accepted spellings.
  static Duration parse(std::string_view text);
  [[nodiscard]] std::string text() const;
  bool operator==(const Duration&) const = default;
};

constexpr Duration steps(double n) { return {n, Duration::Unit::steps}; }
constexpr Duration epochs(double n) { return {n, Duration::Unit::epochs}; }
constexpr Duration hours(double n) { return {n * 3600, Duration::Unit::seconds}; }

template <class Owner, class Member>
struct Field {
  std::string_view name;
  Member Owner::*member;
  std::string_view help;
  std::string_view unit_text = "";
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  std::span<const std::string_view> allowed = {};
  std::string (*problem_of)(std::string_view) = nullptr;
  bool affects_result = true;

  // The physical unit as people write it: "Hz", "ms", "samples".
  [[nodiscard]] constexpr Field unit(std::string_view text) const {
    auto copy = *this;
    copy.unit_text = text;
    return copy;
  }
  // Inclusive bounds of numbers (of each element, for vectors).
  [[nodiscard]] constexpr Field range(double lowest, double highest) const {
    auto copy = *this;
    copy.low = lowest;
    copy.high = highest;
    return copy;
  }
  [[nodiscard]] constexpr Field at_least(double lowest) const {
    return range(lowest, std::numeric_limits<double>::infinity());
  }
  // The names a string may take; `names` must outlive the program (a constexpr array).
  [[nodiscard]] constexpr Field choices(std::span<const std::string_view> names) const {
    auto copy = *this;
    copy.allowed = names;
    return copy;
  }
  // For text that is more than a name: a function that says what is wrong with it, or nothing. The choices, if any, are
  // then only shown.
  [[nodiscard]] constexpr Field checked_by(std::string (*problem)(std::string_view)) const {
    auto copy = *this;
    copy.problem_of = problem;
    return copy;
  }
  // Leaves the field out of the run signature: it changes what is shown or stored, not what is computed.
  [[nodiscard]] constexpr Field cosmetic() const {
    auto copy = *this;
    copy.affects_result = false;
    return copy;
  }
};

template <class Owner, class Member>
[[nodiscard]] constexpr Field<Owner, Member> field(std::string_view name, Member Owner::*member,
                                                   std::string_view help) {
  return {name, member, help};
}

template <class T>
concept HasFields = requires {
  T::fields();
};

}  // namespace melisma
