// What is tried: values and ranges as people write them, combinations, draws.
#include "experiments/sweeps/search_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "experiments/sweeps/sweep_file.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal_of;
using Words = std::vector<std::string>;

std::string refused(const std::string& text) {
  return refusal_of(ErrorKind::usage, [&] { (void)parse_search_key(text); });
}

double value_in(const std::string& setting) { return std::stod(setting.substr(setting.find('=') + 1)); }

TEST(SearchSpace, ValuesArePartedAtCommasOutsideBracketsAndQuotes) {
  EXPECT_THAT(parse_search_key("losses.mel=15,45").values, ElementsAre("15", "45"));
  EXPECT_THAT(parse_search_key("model.resblock_kernels=[3],[3,7]").values, ElementsAre("[3]", "[3,7]"));
  EXPECT_THAT(parse_search_key("a=\"x,y\",'z,'").values, ElementsAre("\"x,y\"", "'z,'"));
  EXPECT_THAT(parse_search_key("a=b=c").values, ElementsAre("b=c"));
  EXPECT_THAT(parse_search_key("file=../a.pth").values, ElementsAre("../a.pth"));
}

TEST(SearchSpace, RangesAreLinearOrLogarithmic) {
  const auto linear = parse_search_key("a=-1..2.5"), logarithmic = parse_search_key("a=1e-5..1e-3:log");
  EXPECT_EQ(linear.range->low, -1);
  EXPECT_EQ(linear.range->high, 2.5);
  EXPECT_FALSE(linear.range->is_log);
  EXPECT_EQ(logarithmic.range->low, 1e-5);
  EXPECT_TRUE(logarithmic.range->is_log);
  for (const auto* text : {"a=-1..2.5", "a=1e-05..0.001:log", "a=x,[1,2]"}) {
    EXPECT_EQ(text_of(parse_search_key(text)), text);
  }
}

TEST(SearchSpace, WhatMakesNoSenseIsRefused) {
  for (const auto* text : {"a", "=1", "a="}) EXPECT_THAT(refused(text), HasSubstr("write --over key=value")) << text;
  EXPECT_THAT(refused("a=1,,2"), HasSubstr("nothing between two commas"));
  EXPECT_THAT(refused("a=2..1"), HasSubstr("the range 2..1 of a must rise"));
  EXPECT_THAT(refused("a=0..1:log"), HasSubstr("from a number above 0"));
}

TEST(SearchSpace, AGridHasEveryCombinationTheLastKeyFastest) {
  const std::vector<SearchKey> keys{parse_search_key("a=1,2"), parse_search_key("b=x,y")};
  EXPECT_THAT(grid_of(keys),
              ElementsAre(Words{"a=1", "b=x"}, Words{"a=1", "b=y"}, Words{"a=2", "b=x"}, Words{"a=2", "b=y"}));
  const std::vector<SearchKey> ranged{parse_search_key("a=1..2")};
  EXPECT_THAT(refusal_of(ErrorKind::usage, [&] { (void)grid_of(ranged); }), HasSubstr("a grid needs values of a"));
}

TEST(SearchSpace, DrawsStayInTheirRangeAndFillIt) {
  auto whole = parse_search_key("n=2..8");
  whole.is_integer = true;
  const std::vector<SearchKey> keys{parse_search_key("lr=1e-5..1e-1:log"), whole, parse_search_key("v=x,y")};
  std::set<double> whole_numbers;
  int n_below_middle = 0, n_x = 0;
  for (int i = 0; i < 400; ++i) {
    const auto drawn = drawn_from(keys, 7, i);
    ASSERT_EQ(drawn.size(), 3u);
    EXPECT_GE(value_in(drawn[0]), 1e-5);
    EXPECT_LE(value_in(drawn[0]), 1e-1);
    n_below_middle += value_in(drawn[0]) < 1e-3 ? 1 : 0;  // the middle of the logarithms
    whole_numbers.insert(value_in(drawn[1]));
    n_x += drawn[2] == "v=x" ? 1 : 0;
  }
  EXPECT_THAT(whole_numbers, ElementsAre(2, 3, 4, 5, 6, 7, 8));
  for (const int n : {n_below_middle, n_x}) EXPECT_NEAR(n, 200, 60);  // six standard deviations
}

TEST(SearchSpace, ADrawFollowsFromItsSeedAndNumberAlone) {
  const auto lr = parse_search_key("lr=0..1"), mel = parse_search_key("mel=0..1");
  const std::vector<SearchKey> both{lr, mel}, one{lr};
  EXPECT_EQ(drawn_from(both, 1, 5)[0], drawn_from(one, 1, 5)[0]);
  EXPECT_NE(drawn_from(one, 1, 5), drawn_from(one, 2, 5));
  EXPECT_NE(drawn_from(one, 1, 5), drawn_from(one, 1, 6));
  EXPECT_NE(drawn_from(both, 1, 5)[0].substr(3), drawn_from(both, 1, 5)[1].substr(4));
}

TEST(SweepFile, SettingsAndWhatVariesComeFromOneFile) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "s.toml", R"([over]
"generator_optimizer.lr" = "1e-5..1e-3:log"
losses.mel = [15, 45]
[over.model]
vocoder = ["hifigan", "refinegan"]
[sweep]
name = "lr"
trials = 5
)");
  const auto file = read_sweep_file(folder / "s.toml", Words{"sweep.trials=7"});
  EXPECT_EQ(file.config.name, "lr");
  EXPECT_EQ(file.config.trials, 7);
  std::vector<std::string> texts;
  for (const auto& key : file.keys) texts.push_back(text_of(key));
  EXPECT_THAT(texts, ::testing::UnorderedElementsAre("generator_optimizer.lr=1e-05..0.001:log", "losses.mel=15,45",
                                                     "model.vocoder=\"hifigan\",\"refinegan\""));
}

TEST(SweepFile, MistakesAreNamedWithTheirLine) {
  const testing::TemporaryFolder folder;
  const auto refused = [&](const std::string& text) {
    write_file_atomically(folder / "s.toml", text);
    return refusal_of(ErrorKind::config, [&] { (void)read_sweep_file(folder / "s.toml", {}); });
  };
  EXPECT_THAT(refused("[over]\nlr = [1]\n[sweep]\ntrails = 3\n"),
              ::testing::AllOf(HasSubstr(":4:"), HasSubstr("trials")));
  EXPECT_THAT(refused("[sweep]\nmethod = \"gird\"\n"), HasSubstr("grid"));
  EXPECT_THAT(refused("[over]\n\nlr = 3\n"), HasSubstr("s.toml:3:6: over.lr is neither a list of values nor a range"));
  EXPECT_THAT(refused("[over\n"), HasSubstr("s.toml:1:"));
}

}  // namespace
}  // namespace melisma
