// Splits are by recording, seeded, stable when recordings are added, balanced over speakers, and never part duplicates.
#include "data/sets/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

std::vector<SplitItem> recordings(const std::string& speaker, int n, int first = 0) {
  std::vector<SplitItem> items;
  for (int i = first; i < first + n; ++i) items.push_back({speaker + "/" + std::to_string(i) + ".wav", speaker, -1});
  return items;
}

std::vector<SplitItem> joined(std::vector<SplitItem> a, const std::vector<SplitItem>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::map<Split, int> counted(const std::vector<Split>& sides) {
  std::map<Split, int> counts;
  for (const auto side : sides) ++counts[side];
  return counts;
}

template <class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.message();
  }
  return "no error";
}

TEST(Split, SharesAreKeptRoughlyAndChosenByTheSeed) {
  const auto items = recordings("a", 1000);
  const auto one = split_recordings(items, {.validation = 0.1, .test = 0.2, .seed = 1});
  EXPECT_NEAR(counted(one)[Split::validation], 100, 30);
  EXPECT_NEAR(counted(one)[Split::test], 200, 40);
  EXPECT_EQ(one, split_recordings(items, {.validation = 0.1, .test = 0.2, .seed = 1}));
  EXPECT_NE(one, split_recordings(items, {.validation = 0.1, .test = 0.2, .seed = 2}));
}

TEST(Split, ThreeRecordingsAreEnoughForAllSplits) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    for (int n = 3; n < 12; ++n) {
      const auto counts = counted(split_recordings(recordings("a", n), {.seed = seed}));
      EXPECT_EQ(counts.size(), 3u) << "seed " << seed << ", " << n << " recordings";
    }
  }
}

TEST(Split, OneOrTwoRecordingsTrainFirst) {
  EXPECT_THAT(split_recordings(recordings("a", 1), {}), ElementsAre(Split::train));
  const auto two = counted(split_recordings(recordings("a", 2), {}));
  EXPECT_EQ(two, (std::map<Split, int>{{Split::train, 1}, {Split::validation, 1}}));
  EXPECT_TRUE(split_recordings({}, {}).empty());
}

TEST(Split, AShareOfNothingHoldsNothingOut) {
  EXPECT_THAT(split_recordings(recordings("a", 9), {.validation = 0, .test = 0}), Each(Split::train));
}

TEST(Split, EverySpeakerWithEnoughRecordingsIsHeldOut) {
  const auto items = joined(joined(recordings("big", 300), recordings("small", 4)), recordings("tiny", 2));
  const auto sides = split_recordings(items, {.seed = 3});
  std::map<std::string, std::set<Split>> of;
  for (std::size_t i = 0; i < items.size(); ++i) of[items[i].speaker].insert(sides[i]);
  EXPECT_EQ(of["big"].size(), 3u);
  EXPECT_EQ(of["small"].size(), 3u);
  EXPECT_THAT(of["tiny"], ElementsAre(Split::train));
}

TEST(Split, SpeakersWithFewRecordingsAreHeldOutTogether) {
  std::vector<SplitItem> items;
  for (int s = 0; s < 10; ++s) items = joined(items, recordings("speaker" + std::to_string(s), 1));
  EXPECT_EQ(counted(split_recordings(items, {})).size(), 3u);
}

TEST(Split, AddingRecordingsMovesNoOtherOnceTheSplitsAreFilled) {
  const auto before = recordings("a", 200);
  const auto after = joined(before, recordings("a", 150, 200));
  const auto old_sides = split_recordings(before, {.seed = 5});
  const auto new_sides = split_recordings(after, {.seed = 5});
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(old_sides[i], new_sides[i]) << before[i].name;
}

TEST(Split, DuplicatesStayTogether) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    auto items = recordings("a", 12);
    items[2].group = items[7].group = items[11].group = 2;
    const auto sides = split_recordings(items, {.validation = 0.3, .test = 0.3, .seed = seed});
    EXPECT_EQ(sides[2], sides[7]);
    EXPECT_EQ(sides[2], sides[11]);
    EXPECT_EQ(counted(sides).size(), 3u);
  }
}

TEST(SplitList, GivesTheSidesItNames) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "list",
                        "# mine\ntrain a/0.wav\r\n\n  test   a/1.wav  \nvalidation a/with blank.wav\n");
  auto items = recordings("a", 2);
  items.push_back({"a/with blank.wav", "a", -1});
  const auto entries = read_split_list(folder / "list");
  EXPECT_THAT(split_by_list(items, entries, "list"), ElementsAre(Split::train, Split::test, Split::validation));
}

TEST(SplitList, SaysEverythingThatIsWrongAtOnce) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "list", "train a/0.wav\nvalid a/1.wav\ntest\n");
  const auto syntax = message_of([&] { (void)read_split_list(folder / "list"); });
  EXPECT_THAT(syntax, HasSubstr("list:2: unknown split 'valid'; did you mean 'validation'?"));
  EXPECT_THAT(syntax, HasSubstr("list:3: expected 'train|validation|test NAME', found 'test'"));

  auto items = recordings("a", 4);
  items[0].group = items[1].group = 0;
  const std::vector<SplitListEntry> entries{{Split::train, "a/0.wav", 1},
                                            {Split::test, "a/1.wav", 2},
                                            {Split::test, "a/1.wav", 3},
                                            {Split::test, "a/2.wva", 4}};
  const auto problems = message_of([&] { (void)split_by_list(items, entries, "list"); });
  EXPECT_THAT(problems, HasSubstr("list:3: 'a/1.wav' is listed twice"));
  EXPECT_THAT(problems, HasSubstr("list:4: no recording 'a/2.wva'; did you mean 'a/2.wav'?"));
  EXPECT_THAT(problems, HasSubstr("list: recording 'a/2.wav' is not listed"));
  EXPECT_THAT(problems, HasSubstr("'a/0.wav' (train) and 'a/1.wav' (test) hold the same sound"));
}

}  // namespace
}  // namespace melisma
