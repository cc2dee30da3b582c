// Whatever settings hold, their TOML and JSON load back to it.
#include <gtest/gtest.h>

#include <array>

#include "tests/support/property.h"
#include "tools/base/error.h"
#include "tools/config/config.h"
#include "tools/config/flat_toml.h"

namespace melisma {
namespace {

using testing::any_finite;
using testing::any_text;
using testing::holds;

constexpr std::array<std::string_view, 3> kWays{"plain", "two words", "a.b"};

struct Deep {
  double number = 0.5;
  std::vector<double> numbers{};
  std::string way = "plain";
  Duration length{};
  bool operator==(const Deep&) const = default;
  static constexpr auto fields() {
    return std::tuple{
        field("number", &Deep::number, "a number"),
        field("numbers", &Deep::numbers, "several"),
        field("way", &Deep::way, "a choice").choices(kWays),
        field("length", &Deep::length, "how long"),
    };
  }
};

struct Everything {
  bool flag = false;
  std::int64_t integer = 1;
  std::uint64_t natural = 2;
  std::string text = "x";
  std::vector<std::string> texts{};
  std::vector<std::int64_t> integers{};
  Deep deep;
  bool operator==(const Everything&) const = default;
  static constexpr auto fields() {
    return std::tuple{
        field("flag", &Everything::flag, "a switch"),
        field("integer", &Everything::integer, "any whole number"),
        field("natural", &Everything::natural, "a whole number of at least 0"),
        field("text", &Everything::text, "any text"),
        field("texts", &Everything::texts, "several"),
        field("integers", &Everything::integers, "several"),
        field("deep", &Everything::deep, "a table"),
    };
  }
};

Duration any_duration() {
  const auto amount = static_cast<double>(*rc::gen::inRange(1, 1000000)) / (*rc::gen::element(1, 2, 8));
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      return {};
    case 1:
      return steps(amount);
    case 2:
      return epochs(amount);
    default:
      return {amount, Duration::Unit::seconds};
  }
}

Everything any_settings() {
  Everything settings;
  settings.flag = *rc::gen::arbitrary<bool>();
  settings.integer = *rc::gen::arbitrary<std::int64_t>();
  settings.natural = *rc::gen::arbitrary<std::uint64_t>() >> 1;  // what TOML has numbers for
  settings.text = *any_text();
  settings.texts = *rc::gen::container<std::vector<std::string>>(any_text());
  settings.integers = *rc::gen::arbitrary<std::vector<std::int64_t>>();
  settings.deep.number = *any_finite();
  settings.deep.numbers = *rc::gen::container<std::vector<double>>(any_finite());
  settings.deep.way = *rc::gen::elementOf(kWays);
  settings.deep.length = any_duration();
  return settings;
}

TEST(ConfigProperty, TomlLoadsBackToTheSameSettings) {
  EXPECT_TRUE(holds(300, [] {
    auto settings = any_settings();
    const auto toml = to_toml(schema_of(settings));
    RC_LOG(toml);
    Everything again;
    auto schema = schema_of(again);
    configure_from_text(schema, toml, "dumped.toml");
    RC_ASSERT(again == settings);
    RC_ASSERT(to_toml(schema) == toml);
    RC_ASSERT(differences(schema_of(settings), schema).empty());
    RC_ASSERT(signature_of(settings) == signature_of(again));
  }));
}

TEST(ConfigProperty, JsonLoadsBackToTheSameSettings) {
  EXPECT_TRUE(holds(200, [] {
    auto settings = any_settings();
    const auto text = to_json(schema_of(settings)).dump();
    Everything again;
    auto schema = schema_of(again);
    from_json(schema, nlohmann::ordered_json::parse(text), "dumped.json");
    RC_ASSERT(again == settings);
  }));
}

TEST(ConfigProperty, AFlatSettingIsAnOverrideThatGivesTheSameValue) {
  EXPECT_TRUE(holds(200, [] {
    auto settings = any_settings();
    std::vector<std::string> overrides;
    for (const auto& flat : flatten_toml(to_toml(schema_of(settings)), "dumped.toml")) {
      overrides.push_back(flat.path + "=" + flat.value);
    }
    Everything again;
    auto schema = schema_of(again);
    configure_from_text(schema, "", "empty.toml", overrides);
    RC_ASSERT(again == settings);
  }));
}

TEST(ConfigProperty, DamagedTomlIsRefusedOrReadAsSettings) {
  EXPECT_TRUE(holds(500, [] {
    auto settings = any_settings();
    auto toml = to_toml(schema_of(settings));
    for (int change = *rc::gen::inRange(1, 4); change > 0; --change) {
      const auto at = static_cast<std::size_t>(*rc::gen::inRange<std::int64_t>(0, std::ssize(toml)));
      toml[at] = *rc::gen::arbitrary<char>();
    }
    RC_LOG(toml);
    Everything again;
    auto schema = schema_of(again);
    try {
      configure_from_text(schema, toml, "damaged.toml");
    } catch (const Error& error) {
      RC_ASSERT(error.kind() == ErrorKind::config);
      RC_ASSERT(error.message().find("damaged.toml") != std::string::npos);
    }
  }));
}

}  // namespace
}  // namespace melisma
