#include <charconv>
#include <cmath>

#include "tools/base/error.h"
#include "tools/base/table.h"
#include "tools/config/fields.h"

namespace melisma {
namespace {

struct UnitName {
  std::string_view name;
  Duration::Unit unit;
  double factor;
};

constexpr UnitName kUnits[] = {
    {"steps", Duration::Unit::steps, 1},   {"step", Duration::Unit::steps, 1},
    {"epochs", Duration::Unit::epochs, 1}, {"epoch", Duration::Unit::epochs, 1},
    {"s", Duration::Unit::seconds, 1},     {"seconds", Duration::Unit::seconds, 1},
    {"min", Duration::Unit::seconds, 60},  {"minutes", Duration::Unit::seconds, 60},
    {"h", Duration::Unit::seconds, 3600},  {"hours", Duration::Unit::seconds, 3600},
    {"d", Duration::Unit::seconds, 86400}, {"days", Duration::Unit::seconds, 86400},
};

std::string number_text(double value) { return fmt::format("{}", value); }

}  // namespace

Duration Duration::parse(std::string_view text) {
  if (text == "off") return {};
  double amount = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), amount);
  std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  for (const auto& row : kUnits) {
    if (code == std::errc{} && rest == row.name && amount > 0 && std::isfinite(amount))
      return {amount * row.factor, row.unit};
  }
  fail(ErrorKind::config,
       "'{}' is no duration; write a number above 0 and a unit: steps, epochs, s, min, h, d, or \"off\"", text);
}

std::string Duration::text() const {
  switch (unit) {
    case Unit::off:
      return "off";
    case Unit::steps:
      return number_text(amount) + (amount == 1 ? " step" : " steps");
    case Unit::epochs:
      return number_text(amount) + (amount == 1 ? " epoch" : " epochs");
    case Unit::seconds:
      break;
  }
  if (std::fmod(amount, 3600) == 0) return number_text(amount / 3600) + " h";
  if (std::fmod(amount, 60) == 0) return number_text(amount / 60) + " min";
  return number_text(amount) + " s";
}

}  // namespace melisma
