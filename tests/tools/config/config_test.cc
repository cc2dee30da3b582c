#include "tools/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr std::array<std::string_view, 2> kSchedules{"exponential", "cosine"};

struct Inner {
  double lr = 1e-4;
  std::string schedule = "exponential";
  Duration warmup{};
  static constexpr auto fields() {
    return std::tuple{
        field("lr", &Inner::lr, "step size").range(0, 1),
        field("schedule", &Inner::schedule, "how lr falls").choices(kSchedules),
        field("warmup", &Inner::warmup, "linear rise"),
    };
  }
};

struct Outer {
  std::int64_t epochs = 100;
  bool shuffle = true;
  std::uint64_t seed = 1234;
  std::vector<std::int64_t> rates{10, 8, 2, 2};
  std::vector<std::string> names{};
  Inner optimizer;
  std::string note = "a \"quoted\" word";
  static constexpr auto fields() {
    return std::tuple{
        field("epochs", &Outer::epochs, "how long").at_least(1),
        field("shuffle", &Outer::shuffle, "mix the order"),
        field("seed", &Outer::seed, "seed"),
        field("rates", &Outer::rates, "upsampling").range(1, 64),
        field("names", &Outer::names, "speakers"),
        field("optimizer", &Outer::optimizer, ""),
        field("note", &Outer::note, "free text").cosmetic(),
    };
  }
};

std::string error_of(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  Outer config;
  auto schema = schema_of(config);
  try {
    configure_from_text(schema, toml, "my.toml", overrides);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(Config, LoadsValuesOfEveryTypeAndNestedTables) {
  Outer config;
  auto schema = schema_of(config);
  configure_from_text(schema,
                      "epochs = 7\nshuffle = false\nrates = [12, 10]\nnames = ['a', 'b']\n[optimizer]\nlr = "
                      "1e-3\nwarmup = '3 epochs'\n",
                      "my.toml", std::vector<std::string>{"optimizer.schedule=cosine", "seed=9223372036854775807"});
  EXPECT_EQ(config.epochs, 7);
  EXPECT_FALSE(config.shuffle);
  EXPECT_THAT(config.rates, ::testing::ElementsAre(12, 10));
  EXPECT_THAT(config.names, ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(config.optimizer.lr, 1e-3);
  EXPECT_EQ(config.optimizer.warmup, epochs(3));
  EXPECT_EQ(config.optimizer.schedule, "cosine");
}

TEST(Config, DumpedTomlLoadsBackToTheSameValues) {
  Outer config{
      .epochs = 3, .rates = {5}, .names = {"mara", "j\"o"}, .optimizer = {.lr = 0.1 + 0.2, .warmup = hours(1.5)}};
  const auto text = to_toml(schema_of(config));
  Outer again;
  auto schema = schema_of(again);
  configure_from_text(schema, text, "dump");
  EXPECT_TRUE(differences(schema_of(config), schema).empty()) << text;
  EXPECT_EQ(to_toml(schema), text);
}

TEST(Config, JsonGoesBothWays) {
  Outer config{.epochs = 3, .optimizer = {.lr = 0.3}};
  const auto json = to_json(schema_of(config));
  EXPECT_EQ(json["optimizer"]["lr"], 0.3);
  Outer again;
  auto schema = schema_of(again);
  from_json(schema, json, "metadata");
  EXPECT_TRUE(differences(schema_of(config), schema).empty());
}

TEST(Config, WhatIsSetOnTheCommandLineIsOneValue) {
  const auto note_of = [](const std::string& text) {
    Outer config;
    auto schema = schema_of(config);
    configure_from_text(schema, "", "empty", std::vector<std::string>{"note=" + text});
    return config.note;
  };
  EXPECT_EQ(note_of("2026-08-03"), "2026-08-03");  // not TOML's date
  EXPECT_EQ(note_of("'a'\nepochs = 5"), "'a'\nepochs = 5");
  EXPECT_EQ(note_of("\"a\\u007fb\""),
            "a\x7f"
            "b");
}

TEST(Config, ANumberThatTomlCannotKeepIsRefused) {
  Outer config;
  auto schema = schema_of(config);
  EXPECT_THROW(from_json(schema, {{"seed", 9223372036854775808u}}, "metadata"), Error);
  EXPECT_EQ(config.seed, 1234u);
}

TEST(Config, UnknownKeyNamesPlaceAndSuggestion) {
  EXPECT_EQ(error_of("epochs = 5\n[optimizer]\nlearning = 1\nscedule = 'cosine'\n"),
            "2 problems:\n  my.toml:3:1: unknown key 'optimizer.learning'; see melisma config explain\n"
            "  my.toml:4:1: unknown key 'optimizer.scedule'; did you mean 'optimizer.schedule'?");
}

TEST(Config, AKeyInTheWrongSectionIsFoundByItsLastPart) {
  EXPECT_EQ(error_of("lr = 0.1\n"), "my.toml:1:1: unknown key 'lr'; did you mean 'optimizer.lr'?");
}

TEST(Config, WrongTypeRangeAndChoiceAreAllReported) {
  EXPECT_EQ(error_of("epochs = 0\nshuffle = 3\n[optimizer]\nlr = 2.0\nschedule = 'cosinus'\n", {"rates=[0]", "oops"}),
            "6 problems:\n"
            "  my.toml:1:1: 'epochs' must be at least 1, found 0\n"
            "  my.toml:2:1: 'shuffle' expects true or false, found 3\n"
            "  my.toml:4:1: 'optimizer.lr' must be between 0 and 1, found 2.0\n"
            "  my.toml:5:1: 'optimizer.schedule' has an unknown value 'cosinus'; did you mean "
            "'cosine'? "
            "known: exponential, cosine\n"
            "  --set rates=[0]: 'rates' must be between 1 and 64, found 0\n"
            "  --set oops: write --set key=value");
}

TEST(Config, AnErrorLeavesTheStructUsable) {
  Outer config;
  auto schema = schema_of(config);
  EXPECT_THROW(configure_from_text(schema, "epochs = -1", "x"), Error);
  EXPECT_EQ(config.epochs, 100);
}

TEST(Config, BrokenTomlSaysWhere) { EXPECT_THAT(error_of("epochs = = 3\n"), ::testing::StartsWith("my.toml:1:10: ")); }

TEST(Config, SignatureFollowsWhatIsComputedAndNothingElse) {
  Outer config, other;
  other.note = "changed";
  EXPECT_EQ(signature_of(config), signature_of(other));
  other.optimizer.lr = 2e-4;
  EXPECT_NE(signature_of(config), signature_of(other));
  EXPECT_EQ(signature_of(config).size(), 8u);
}

TEST(Duration, ParsesEveryUnitAndRefusesTheRest) {
  EXPECT_EQ(Duration::parse("2000 steps"), steps(2000));
  EXPECT_EQ(Duration::parse("1 epoch"), epochs(1));
  EXPECT_EQ(Duration::parse("8h"), hours(8));
  EXPECT_EQ(Duration::parse("90 min"), hours(1.5));
  EXPECT_TRUE(Duration::parse("off").is_off());
  for (const auto* wrong : {"", "5", "steps", "-1 steps", "0 h", "3 parsecs", "nan steps"}) {
    EXPECT_THROW((void)Duration::parse(wrong), Error) << wrong;
  }
}

TEST(Duration, TextParsesBack) {
  for (const auto& duration :
       {steps(50), epochs(1), epochs(0.5), hours(8), hours(0.25), Duration{7, Duration::Unit::seconds}, Duration{}}) {
    EXPECT_EQ(Duration::parse(duration.text()), duration) << duration.text();
  }
}

std::string not_upper_case(std::string_view text) {
  for (const char letter : text) {
    if (letter >= 'A' && letter <= 'Z') return fmt::format("shouts '{}'", letter);
  }
  return "";
}

struct Quiet {
  std::string word = "calm";
  static constexpr auto fields() {
    return std::tuple{field("word", &Quiet::word, "anything quiet").choices(kSchedules).checked_by(&not_upper_case)};
  }
};

TEST(Config, AFieldsOwnCheckStandsForItsChoices) {
  Quiet config;
  auto schema = schema_of(config);
  configure_from_text(schema, "word = 'neither a choice nor loud'", "test");
  EXPECT_EQ(config.word, "neither a choice nor loud");
  try {
    configure_from_text(schema, "word = 'LOUD'", "quiet.toml");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), ::testing::HasSubstr("'word' shouts 'L'"));
  }
  EXPECT_EQ(config.word, "neither a choice nor loud");
  EXPECT_THAT(markdown_reference(schema), ::testing::HasSubstr(std::string(kSchedules[0])));
}

}  // namespace
}  // namespace melisma
