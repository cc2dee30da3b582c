#include "experiments/sweeps/search_space.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "tools/base/error.h"
#include "tools/base/seed.h"
#include "tools/config/toml_value.h"

namespace melisma {
namespace {

constexpr std::string_view kLogarithmic = ":log";

// At commas that are not inside brackets or quotes.
std::vector<std::string> parted(std::string_view text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[') {
      ++depth;
    } else if (c == ']') {
      --depth;
    } else if (c == ',' && depth == 0) {
      parts.emplace_back();
      continue;
    }
    parts.back() += c;
  }
  return parts;
}

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// Nothing if the text is no range; a range that makes no sense is an error.
std::optional<SearchRange> range_of(std::string_view path, std::string_view text) {
  SearchRange range;
  auto bounds = text;
  if (bounds.ends_with(kLogarithmic)) {
    range.is_log = true;
    bounds.remove_suffix(kLogarithmic.size());
  }
  const auto dots = bounds.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const auto low = number_of(bounds.substr(0, dots)), high = number_of(bounds.substr(dots + 2));
  if (!low || !high) return std::nullopt;
  if (*low >= *high || (range.is_log && *low <= 0)) {
    fail(ErrorKind::usage, "the range {} of {} must rise{}", text, path, range.is_log ? " from a number above 0" : "");
  }
  range.low = *low;
  range.high = *high;
  return range;
}

void collect(const toml::table& table, const std::string& prefix, const std::string& source,
             std::vector<SearchKey>& keys) {
  for (const auto& [name, node] : table) {
    const auto path = prefix + std::string(name.str());
    if (const auto* inner = node.as_table()) {
      collect(*inner, path + ".", source, keys);
    } else if (const auto* list = node.as_array(); list != nullptr && !list->empty()) {
      SearchKey key{.path = path};
      for (const auto& value : *list) key.values.push_back(toml_value(json_of_node(value)));
      keys.push_back(std::move(key));
    } else if (const auto text = node.value<std::string>(); text && range_of(path, *text)) {
      keys.push_back({.path = path, .range = range_of(path, *text)});
    } else {
      fail(ErrorKind::config,
           "{}:{}:{}: over.{} is neither a list of values nor a range \"LOW..HIGH\" or \"LOW..HIGH:log\"", source,
           node.source().begin.line, node.source().begin.column, path);
    }
  }
}

}  // namespace

SearchKey parse_search_key(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size()) {
    fail(ErrorKind::usage, "--over {}: write --over key=value,value,... or key=LOW..HIGH or key=LOW..HIGH:log", text);
  }
  SearchKey key{.path = std::string(text.substr(0, equals))};
  const auto values = text.substr(equals + 1);
  key.range = range_of(key.path, values);
  if (!key.range) key.values = parted(values);
  for (const auto& value : key.values) {
    if (value.empty()) fail(ErrorKind::usage, "--over {}: there is nothing between two commas", text);
  }
  return key;
}

std::string text_of(const SearchKey& key) {
  if (key.range) {
    return fmt::format("{}={}..{}{}", key.path, key.range->low, key.range->high, key.range->is_log ? kLogarithmic : "");
  }
  return fmt::format("{}={}", key.path, fmt::join(key.values, ","));
}

std::vector<SearchKey> search_keys_of_toml(std::string_view toml, const std::string& source) {
  std::vector<SearchKey> keys;
  toml::table table;
  try {
    table = toml::parse(toml, source);
  } catch (const toml::parse_error& problem) {
    fail(ErrorKind::config, "{}:{}:{}: {}", source, problem.source().begin.line, problem.source().begin.column,
         problem.description());
  }
  if (const auto* over = table["over"].as_table()) collect(*over, "", source, keys);
  return keys;
}

std::vector<std::vector<std::string>> grid_of(std::span<const SearchKey> keys) {
  std::vector<std::vector<std::string>> combinations(1);
  for (const auto& key : keys) {
    if (key.range) {
      fail(ErrorKind::usage, "a grid needs values of {}, not a range; write them with commas, or use --method random",
           key.path);
    }
    std::vector<std::vector<std::string>> longer;
    for (const auto& combination : combinations) {
      for (const auto& value : key.values) {
        longer.push_back(combination);
        longer.back().push_back(key.path + "=" + value);
      }
    }
    combinations = std::move(longer);
  }
  return combinations;
}

std::vector<std::string> drawn_from(std::span<const SearchKey> keys, std::uint64_t seed, std::int64_t index) {
  std::vector<std::string> drawn;
  for (const auto& key : keys) {
    RandomSource random(seed_of(seed, key.path, {index}));
    if (!key.range) {
      drawn.push_back(key.path + "=" + key.values[random.below(key.values.size())]);
      continue;
    }
    const auto& range = *key.range;
    const double place = random.uniform();
    if (key.is_integer) {  // each whole number of the range is as likely, or by its logarithm
      const double low = std::ceil(range.low), high = std::floor(range.high) + 1;
      const double value = range.is_log ? low * std::pow(high / low, place) : low + place * (high - low);
      drawn.push_back(fmt::format("{}={:.0f}", key.path, std::min(std::floor(value), high - 1)));
      continue;
    }
    const double value = range.is_log ? range.low * std::pow(range.high / range.low, place)
                                      : range.low + place * (range.high - range.low);
    drawn.push_back(fmt::format("{}={:.6g}", key.path, value));
  }
  return drawn;
}

}  // namespace melisma
