// Pitch methods as people write them: "rmvpe", or several combined: "median(rmvpe, pyin)". Torch-free and in headers
// alone, because the program checks settings before it opens the engine.
#pragma once
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {

// Names of kPitchMethods in pitch.h.
inline constexpr auto kPitchMethodNames =
    std::to_array<std::string_view>({"pyin", "yin", "harvest", "dio", "pm", "rmvpe", "crepe", "crepe-tiny", "fcpe"});
// In place of a method: curves that another tool found, brought by `melisma import`. Nothing is found by it here.
inline constexpr std::string_view kImportedPitch = "imported";
// Names of kPitchCombinations in pitch_combination.h.
inline constexpr auto kPitchCombinationNames =
    std::to_array<std::string_view>({"median", "mean", "min", "max", "weighted"});

struct PitchMember {
  std::string method;
  double weight = 1;
  bool operator==(const PitchMember&) const = default;
};

// What "median(rmvpe, pyin)" says. A single method is its only member, combined by "".
struct PitchRecipe {
  std::string combination;
  std::vector<PitchMember> members;
  // Written back: "median(rmvpe, pyin)", "weighted(rmvpe:2, pyin:1)".
  [[nodiscard]] std::string text() const;
  bool operator==(const PitchRecipe&) const = default;
};

namespace pitch_recipe_detail {

inline std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

inline void require_known(std::string_view what, std::string_view name, std::span<const std::string_view> names) {
  for (const auto known : names) {
    if (known == name) return;
  }
  throw Error(ErrorKind::config,
              unknown_name_message(what, name, std::vector<std::string>(names.begin(), names.end())));
}

// "rmvpe", or "rmvpe:2" where weights are allowed.
inline PitchMember parse_member(std::string_view text, bool takes_weight, std::string_view whole) {
  PitchMember member;
  const auto colon = text.find(':');
  member.method = trimmed(text.substr(0, colon));
  require_known("pitch method", member.method, kPitchMethodNames);
  if (colon == std::string_view::npos) return member;
  const auto number = trimmed(text.substr(colon + 1));
  const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), member.weight);
  if (!takes_weight || problem != std::errc() || end != number.data() + number.size() || !(member.weight > 0)) {
    fail(ErrorKind::config, "pitch method '{}': '{}' is no weight above 0, or not within weighted(...)", whole, number);
  }
  return member;
}

}  // namespace pitch_recipe_detail

// Throws Error(config) with did-you-mean for unknown names, and for anything else that is no recipe.
inline PitchRecipe parse_pitch_recipe(std::string_view text) {
  using namespace pitch_recipe_detail;
  const auto whole = trimmed(text);
  if (whole == kImportedPitch) return {"", {{std::string(kImportedPitch)}}};
  const auto open = whole.find('(');
  if (open == std::string_view::npos) return {"", {parse_member(whole, false, whole)}};
  PitchRecipe recipe{.combination = std::string(trimmed(whole.substr(0, open)))};
  require_known("combination of pitch methods", recipe.combination, kPitchCombinationNames);
  if (!whole.ends_with(')')) fail(ErrorKind::config, "pitch method '{}' lacks its closing ')'", whole);
  auto rest = whole.substr(open + 1, whole.size() - open - 2);
  for (bool is_last = false; !is_last;) {
    const auto comma = rest.find(',');
    is_last = comma == std::string_view::npos;
    auto member = parse_member(rest.substr(0, comma), recipe.combination == "weighted", whole);
    for (const auto& other : recipe.members) {
      if (other.method != member.method) continue;
      fail(ErrorKind::config, "pitch method '{}' has '{}' twice; weighted(...) counts a method more than once", whole,
           member.method);
    }
    recipe.members.push_back(std::move(member));
    if (!is_last) rest = rest.substr(comma + 1);
  }
  if (recipe.members.size() < 2)
    fail(ErrorKind::config, "pitch method '{}' combines one method; give two or more", whole);
  return recipe;
}

// What is wrong with a setting that names a pitch method, or nothing: for Field::checked_by.
inline std::string pitch_method_problem(std::string_view text) {
  try {
    (void)parse_pitch_recipe(text);
  } catch (const Error& error) {
    return error.message().starts_with("unknown") ? "has an " + error.message() : "is wrong: " + error.message();
  }
  return {};
}

inline std::string PitchRecipe::text() const {
  if (combination.empty()) return members.front().method;
  std::string list;
  for (const auto& [method, weight] : members) {
    list += fmt::format("{}{}{}", list.empty() ? "" : ", ", method,
                        combination == "weighted" ? fmt::format(":{:g}", weight) : "");
  }
  return fmt::format("{}({})", combination, list);
}

}  // namespace melisma
