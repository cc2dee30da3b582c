#include "tools/base/error.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

#include "tools/base/table.h"

namespace melisma {
namespace {

struct Row {
  std::string_view name;
};
constexpr std::array kMethods{Row{"rmvpe"}, Row{"crepe"}, Row{"pyin"}};

TEST(Error, ComposesKindMessageAndFrames) {
  try {
    with_context("starting run alice", [] { fail(ErrorKind::checkpoint, "cannot load '{}'", "G_2333.pth"); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "checkpoint: cannot load 'G_2333.pth' (while starting run alice)");
    EXPECT_EQ(error.exit_code(), 3);
  }
}

TEST(Error, InterruptionCarriesTheSignal) {
  EXPECT_EQ(Error::interrupted(15, "saved").exit_code(), 143);
  EXPECT_EQ(Error::interrupted(2, "saved").exit_code(), 130);
}

TEST(Error, CanCallAThingByAnotherName) {
  auto error = Error::interrupted(15, "cannot write 'a.tmp': no 'a.tmp'").while_doing("saving");
  EXPECT_STREQ(error.rename("a.tmp", "a.tmp2").what(),
               "interrupted: cannot write 'a.tmp2': no 'a.tmp2' (while saving)");
  EXPECT_EQ(error.exit_code(), 143);
}

TEST(Table, FindsARowByName) { EXPECT_EQ(find_row(kMethods, "crepe", "pitch method").name, "crepe"); }

TEST(Table, UnknownNameSuggestsTheNearest) {
  try {
    (void)find_row(kMethods, "rmpve", "pitch method");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "config: unknown pitch method 'rmpve'; did you mean 'rmvpe'? known: rmvpe, crepe, pyin");
    EXPECT_EQ(error.exit_code(), 2);
  }
}

}  // namespace
}  // namespace melisma
