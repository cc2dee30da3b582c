#include "tools/base/format.h"

#include <fmt/format.h>

#include <cmath>

namespace melisma {
namespace {

// "files" -> "file"; units that are no plural ("s of audio") stay.
std::string_view singular(std::string_view unit) {
  const bool is_plural = unit.size() > 2 && unit.ends_with('s') && unit.find(' ') == std::string_view::npos;
  if (unit == "batches") return "batch";
  return is_plural ? unit.substr(0, unit.size() - 1) : unit;
}

}  // namespace

std::string format_seconds(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::llround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  const auto minutes = std::llround(seconds / 60);
  if (minutes < 24 * 60) return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
  const auto hours = std::llround(seconds / 3600);
  return fmt::format("{} d {:02} h", hours / 24, hours % 24);
}

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto amount = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* larger : {"KiB", "MiB", "GiB", "TiB", "PiB"}) {
    if (amount < 1023.5) break;
    amount /= 1024;
    unit = larger;
  }
  return amount < 9.95 ? fmt::format("{:.1f} {}", amount, unit) : fmt::format("{:.0f} {}", amount, unit);
}

std::string format_count(std::int64_t count) {
  auto digits = fmt::format("{}", count);
  const std::size_t first = count < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string format_value(double value) { return fmt::format("{:.4g}", value); }

std::string format_rate(double per_second, std::string_view unit) {
  if (!std::isfinite(per_second) || per_second < 0) return fmt::format("? {}/s", unit);
  if (per_second > 0 && per_second < 0.1) return fmt::format("{:.3g} s/{}", 1 / per_second, singular(unit));
  return fmt::format("{:.3g} {}/s", per_second, unit);
}

std::string format_amount(double amount, std::string_view unit) {
  const auto number = amount == std::floor(amount) && std::abs(amount) < 1e15
                          ? format_count(static_cast<std::int64_t>(amount))
                          : fmt::format("{:.1f}", amount);
  return fmt::format("{} {}", number, amount == 1 ? singular(unit) : unit);
}

}  // namespace melisma
