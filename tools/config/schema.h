// A settings struct seen as a list of named settings: what loading, overriding, printing, explaining and hashing work
// on.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tools/config/fields.h"

namespace melisma {

// One setting. `get` and `set` borrow the struct the schema was made of.
struct Setting {
  std::string path;  // "optimizer.lr"
  std::string type;  // as people say it: "number", "integer", "text", "true or false", "duration", "list of numbers"
  std::string unit, help;
  double low = 0, high = 0;
  std::vector<std::string> choices;
  std::string (*problem_of)(std::string_view) = nullptr;  // what is wrong with a text; instead of the choices
  bool affects_result = true;
  std::function<nlohmann::ordered_json()> get;
  // Sets the value if it is of the right type, in range and among the choices; otherwise says what is wrong and changes
  // nothing.
  std::function<std::string(const nlohmann::ordered_json&)> set;
};

using Schema = std::vector<Setting>;

namespace config_detail {

template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;

template <class T>
std::string type_name() {
  if constexpr (std::is_same_v<T, bool>) {
    return "true or false";
  } else if constexpr (std::is_integral_v<T>) {
    return "integer";
  } else if constexpr (std::is_floating_point_v<T>) {
    return "number";
  } else if constexpr (std::is_same_v<T, Duration>) {
    return "duration";
  } else if constexpr (is_list<T>) {
    return "list of " + type_name<typename T::value_type>() + "s";
  } else {
    return "text";
  }
}

template <class T>
nlohmann::ordered_json to_value(const T& value) {
  if constexpr (std::is_same_v<T, Duration>) {
    return value.text();
  } else if constexpr (is_list<T>) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& item : value) list.push_back(to_value(item));
    return list;
  } else {
    return value;
  }
}

// What is wrong with `value` as a T within the setting's limits, or empty; `out` is set if nothing is.
template <class T>
std::string from_value(const Setting& setting, const nlohmann::ordered_json& value, T& out) {
  const auto wrong_type = [&] { return fmt::format("expects {}, found {}", type_name<T>(), value.dump()); };
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) return wrong_type();
    out = value.get<bool>();
  } else if constexpr (std::is_arithmetic_v<T>) {
    if (!value.is_number() || (std::is_integral_v<T> && !value.is_number_integer())) return wrong_type();
    if (std::is_unsigned_v<T> && !value.is_number_unsigned() && value.get<std::int64_t>() < 0) {
      return fmt::format("must be at least 0, found {}", value.dump());
    }
    if (std::is_integral_v<T> && value.is_number_unsigned() &&
        value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
      return fmt::format("must be at most {}, found {}", std::numeric_limits<std::int64_t>::max(), value.dump());
    }
    const double number = value.get<double>();
    if (!(number >= setting.low && number <= setting.high)) {
      if (std::isinf(setting.high)) return fmt::format("must be at least {}, found {}", setting.low, value.dump());
      return fmt::format("must be between {} and {}, found {}", setting.low, setting.high, value.dump());
    }
    out = value.get<T>();
  } else if constexpr (std::is_same_v<T, Duration>) {
    if (!value.is_string()) return wrong_type() + " (for example \"2000 steps\", \"3 epochs\", \"8 h\", \"off\")";
    try {
      out = Duration::parse(value.get<std::string>());
    } catch (const std::exception& problem) {
      return problem.what();
    }
  } else if constexpr (is_list<T>) {
    if (!value.is_array()) return wrong_type();
    T items;
    for (const auto& element : value) {
      typename T::value_type item{};
      if (auto problem = from_value(setting, element, item); !problem.empty()) return problem;
      items.push_back(std::move(item));
    }
    out = std::move(items);
  } else {
    if (!value.is_string()) return wrong_type();
    out = value.get<std::string>();
  }
  return {};
}

// Nothing if `value` (or each element of a list) is among the choices, or has no problem by the setting's own check.
std::string choice_problem(const Setting& setting, const nlohmann::ordered_json& value);

template <class Config, class Owner, class Member>
void collect_one(Config& config, const Field<Owner, Member>& field, const std::string& prefix, Schema& schema);

template <class Config>
void collect(Config& config, const std::string& prefix, Schema& schema) {
  std::apply([&](const auto&... fields) { (collect_one(config, fields, prefix, schema), ...); }, Config::fields());
}

template <class Config, class Owner, class Member>
void collect_one(Config& config, const Field<Owner, Member>& field, const std::string& prefix, Schema& schema) {
  auto& member = config.*(field.member);
  const std::string path = prefix + std::string(field.name);
  if constexpr (HasFields<Member>) {
    const auto first = schema.size();
    collect(member, path + ".", schema);
    for (auto i = first; i < schema.size(); ++i) schema[i].affects_result &= field.affects_result;
  } else {
    Setting setting;
    setting.path = path;
    setting.type = type_name<Member>();
    setting.unit = field.unit_text;
    setting.help = field.help;
    setting.low = field.low;
    setting.high = field.high;
    setting.choices.assign(field.allowed.begin(), field.allowed.end());
    setting.problem_of = field.problem_of;
    setting.affects_result = field.affects_result;
    setting.get = [&member] { return to_value(member); };
    Setting limits = setting;
    setting.set = [&member, limits](const nlohmann::ordered_json& value) {
      if (auto problem = choice_problem(limits, value); !problem.empty()) return problem;
      return from_value(limits, value, member);
    };
    schema.push_back(std::move(setting));
  }
}

}  // namespace config_detail

// Every setting of `config`, nested structs flattened, in the order of fields(). The struct must outlive the schema.
template <HasFields Config>
[[nodiscard]] Schema schema_of(Config& config) {
  Schema schema;
  config_detail::collect(config, "", schema);
  return schema;
}

}  // namespace melisma
