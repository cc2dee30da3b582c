#include "tools/config/config.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/table.h"
#include "tools/config/toml_value.h"

namespace melisma {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> paths_of(const Schema& schema) {
  std::vector<std::string> paths;
  for (const auto& setting : schema) paths.push_back(setting.path);
  return paths;
}

// Collects every problem of one configuration, then throws them together.
class Loading {
 public:
  explicit Loading(Schema& schema) : schema_(&schema) {}
  Loading() = default;  // sequence() only

  void table(const toml::table& table, const std::string& source, const std::string& prefix = "") {
    for (const auto& [key, node] : table) {
      const std::string path = prefix + std::string(key.str());
      const auto where = fmt::format("{}:{}:{}: ", source, key.source().begin.line, key.source().begin.column);
      line_ = key.source().begin.line;
      if (const auto* inner = node.as_table(); inner != nullptr && is_section(path)) {
        this->table(*inner, source, path + ".");
      } else {
        assign(path, json_of_node(node), where);
      }
    }
    line_ = kLast;
  }

  // Tables called `list`, each with the settings that `open` gives for its name.
  void sequence(const toml::table& root, const std::string& source, std::string_view list,
                const std::function<Schema(const std::string&)>& open) {
    bool is_any = false;
    for (const auto& [key, node] : root) {
      line_ = key.source().begin.line;
      const auto* tables = node.as_array();
      if (key.str() != list || tables == nullptr || !tables->is_homogeneous<toml::table>()) {
        problem(fmt::format("{}:{}:{}: '{}' is no [[{}]]; this file is a list of such tables", source, line_,
                            key.source().begin.column, key.str(), list));
        continue;
      }
      is_any = true;
      for (const auto& element : *tables) named_table(*element.as_table(), source, list, open);
    }
    line_ = kLast;
    if (!is_any && problems_.empty()) problem(fmt::format("'{}' has no [[{}]]", source, list));
  }

  void object(const Json& object, const std::string& source, const std::string& prefix = "") {
    for (const auto& [key, value] : object.items()) {
      const std::string path = prefix + key;
      if (value.is_object() && is_section(path)) {
        this->object(value, source, path + ".");
      } else {
        assign(path, value, source + ": ");
      }
    }
  }

  void override_with(const std::string& text) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      problem(fmt::format("--set {}: write --set key=value", text));
      return;
    }
    const auto path = text.substr(0, equals), value = text.substr(equals + 1);
    assign(path, value_of_text(value), fmt::format("--set {}: ", text));
  }

  void problem(std::string text) { problems_.emplace_back(line_, std::move(text)); }

  // TOML tables come sorted by key; people read them by line.
  void finish() {
    if (problems_.empty()) return;
    std::stable_sort(problems_.begin(), problems_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string text = problems_.size() == 1 ? "" : fmt::format("{} problems:\n  ", problems_.size());
    for (std::size_t i = 0; i < problems_.size(); ++i) text += (i == 0 ? "" : "\n  ") + problems_[i].second;
    throw Error(ErrorKind::config, text);
  }

 private:
  void named_table(const toml::table& table, const std::string& source, std::string_view list,
                   const std::function<Schema(const std::string&)>& open) {
    line_ = table.source().begin.line;
    const auto where = fmt::format("{}:{}:{}: ", source, line_, table.source().begin.column);
    const auto name = table["name"].value<std::string>();
    if (!name) return problem(fmt::format("{}this [[{}]] has no name = \"...\"", where, list));
    Schema schema;
    try {
      schema = open(*name);
    } catch (const Error& error) {
      return problem(where + error.message());
    }
    schema_ = &schema;
    auto settings = table;
    settings.erase("name");
    this->table(settings, source);
    schema_ = nullptr;
  }

  [[nodiscard]] bool is_section(const std::string& path) const {
    for (const auto& setting : *schema_) {
      if (setting.path.starts_with(path + ".")) return true;
    }
    return false;
  }

  // A --set value is a TOML value; what TOML does not accept (a bare word, "3 epochs") is text.
  static Json value_of_text(const std::string& text) {
    try {
      const auto parsed = toml::parse("value = " + text);
      return parsed.size() == 1 ? json_of_node(*parsed.get("value")) : Json(text);
    } catch (const toml::parse_error&) {
      return text;
    }
  }

  void assign(const std::string& path, const Json& value, const std::string& where) {
    for (auto& setting : *schema_) {
      if (setting.path != path) continue;
      if (auto text = setting.set(value); !text.empty()) problem(fmt::format("{}'{}' {}", where, path, text));
      return;
    }
    if (is_section(path)) {
      problem(fmt::format("{}'{}' is a section; its keys are written {}.key", where, path, path));
      return;
    }
    const auto known = paths_of(*schema_);
    auto near = nearest_names(path, known);
    if (near.empty()) near = same_last_part(path, known);
    problem(fmt::format("{}unknown key '{}'{}", where, path,
                        near.empty() ? std::string("; see melisma config explain")
                                     : fmt::format("; did you mean '{}'?", fmt::join(near, "' or '"))));
  }

  static std::vector<std::string> same_last_part(const std::string& path, const std::vector<std::string>& known) {
    const auto last = path.substr(path.rfind('.') + 1);
    std::vector<std::string> near;
    for (const auto& candidate : known) {
      if (candidate.substr(candidate.rfind('.') + 1) == last && near.size() < 3) near.push_back(candidate);
    }
    return near;
  }

  Schema* schema_ = nullptr;
  static constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
  std::int64_t line_ = kLast;
  std::vector<std::pair<std::int64_t, std::string>> problems_;
};

// Hands the parsed text to `use`.
template <class Use>
void load_text(Loading& loading, std::string_view text, const std::string& source, const Use& use) {
  try {
    use(toml::parse(text, source));
  } catch (const toml::parse_error& error) {
    loading.problem(fmt::format("{}:{}:{}: {}", source, error.source().begin.line, error.source().begin.column,
                                error.description()));
  }
}

std::string text_of_settings(const std::filesystem::path& file) {
  if (!std::filesystem::is_regular_file(file)) fail(ErrorKind::config, "no settings file '{}'", file.string());
  return read_file(file);
}

std::string allowed_text(const Setting& setting) {
  if (!setting.choices.empty()) return fmt::format("{}", fmt::join(setting.choices, ", "));
  const bool has_low = !std::isinf(setting.low), has_high = !std::isinf(setting.high);
  if (has_low && has_high) return fmt::format("{} to {}", setting.low, setting.high);
  if (has_low) return fmt::format("at least {}", setting.low);
  if (has_high) return fmt::format("at most {}", setting.high);
  return "";
}

}  // namespace

namespace config_detail {

std::string choice_problem(const Setting& setting, const Json& value) {
  if (setting.choices.empty() && setting.problem_of == nullptr) return {};
  const auto check = [&](const Json& item) -> std::string {
    if (!item.is_string()) return {};  // the type check says it better
    const auto name = item.get<std::string>();
    if (setting.problem_of != nullptr) return setting.problem_of(name);
    for (const auto& choice : setting.choices) {
      if (choice == name) return {};
    }
    return "has an " + unknown_name_message("value", name, setting.choices);
  };
  if (!value.is_array()) return check(value);
  for (const auto& item : value) {
    if (auto problem = check(item); !problem.empty()) return problem;
  }
  return {};
}

}  // namespace config_detail

void configure(Schema& schema, const std::optional<std::filesystem::path>& file,
               std::span<const std::string> overrides) {
  Loading loading(schema);
  if (file) {
    load_text(loading, text_of_settings(*file), file->string(),
              [&](const toml::table& table) { loading.table(table, file->string()); });
  }
  for (const auto& text : overrides) loading.override_with(text);
  loading.finish();
}

void configure_from_text(Schema& schema, std::string_view toml, const std::string& source,
                         std::span<const std::string> overrides) {
  Loading loading(schema);
  load_text(loading, toml, source, [&](const toml::table& table) { loading.table(table, source); });
  for (const auto& text : overrides) loading.override_with(text);
  loading.finish();
}

void configure_sequence(const std::filesystem::path& file, std::string_view list,
                        const std::function<Schema(const std::string& name)>& open) {
  Loading loading;
  load_text(loading, text_of_settings(file), file.string(),
            [&](const toml::table& table) { loading.sequence(table, file.string(), list, open); });
  loading.finish();
}

std::string to_toml(const Schema& schema) {
  std::string top, sections, current;
  for (const auto& setting : schema) {
    const auto dot = setting.path.rfind('.');
    const auto line = [&](const std::string& key) { return fmt::format("{} = {}\n", key, toml_value(setting.get())); };
    if (dot == std::string::npos) {
      top += line(setting.path);
      continue;
    }
    if (const auto section = setting.path.substr(0, dot); section != current) {
      current = section;
      sections += fmt::format("\n[{}]\n", section);
    }
    sections += line(setting.path.substr(dot + 1));
  }
  return top + sections;
}

Json to_json(const Schema& schema) {
  auto object = Json::object();
  for (const auto& setting : schema) {
    auto* place = &object;
    std::size_t begin = 0;
    for (auto dot = setting.path.find('.'); dot != std::string::npos; dot = setting.path.find('.', begin)) {
      place = &(*place)[setting.path.substr(begin, dot - begin)];
      begin = dot + 1;
    }
    (*place)[setting.path.substr(begin)] = setting.get();
  }
  return object;
}

void from_json(Schema& schema, const Json& object, const std::string& source) {
  Loading loading(schema);
  loading.object(object, source);
  loading.finish();
}

std::vector<SettingDifference> differences(const Schema& left, const Schema& right) {
  std::vector<SettingDifference> found;
  for (std::size_t i = 0; i < left.size() && i < right.size(); ++i) {
    const auto a = toml_value(left[i].get()), b = toml_value(right[i].get());
    if (a != b) found.push_back({left[i].path, a, b});
  }
  return found;
}

std::string signature_of(const Schema& defaults, const Schema& chosen) {
  std::string text;
  for (std::size_t i = 0; i < defaults.size(); ++i) {
    if (!chosen[i].affects_result) continue;
    const auto value = toml_value(chosen[i].get());
    if (value != toml_value(defaults[i].get())) text += chosen[i].path + "=" + value + "\n";
  }
  return content_hash(text).substr(0, 8);
}

std::string explain(const Schema& schema) {
  std::string text;
  for (const auto& setting : schema) {
    text += fmt::format("{} = {}\n    {}", setting.path, toml_value(setting.get()), setting.help);
    const auto allowed = allowed_text(setting);
    text += fmt::format("\n    {}{}{}\n", setting.type, setting.unit.empty() ? "" : " in " + setting.unit,
                        allowed.empty() ? "" : "; " + allowed);
  }
  return text;
}

std::string markdown_reference(const Schema& schema) {
  std::string text = "| setting | default | type | allowed | meaning |\n|---|---|---|---|---|\n";
  for (const auto& setting : schema) {
    text += fmt::format("| `{}` | `{}` | {}{} | {} | {} |\n", setting.path, toml_value(setting.get()), setting.type,
                        setting.unit.empty() ? "" : " (" + setting.unit + ")", allowed_text(setting), setting.help);
  }
  return text;
}

}  // namespace melisma
