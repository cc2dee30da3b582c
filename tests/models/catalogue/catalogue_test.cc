#include "models/catalogue/catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "models/catalogue/weights_folder.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using testing::TemporaryFolder;

class Catalogue : public ::testing::Test {
 protected:
  Catalogue() { ::setenv("MELISMA_WEIGHTS", folder_.path().c_str(), 1); }
  ~Catalogue() override { ::unsetenv("MELISMA_WEIGHTS"); }
  static CatalogueEntry mine(const std::string& name) {
    return {name, "a \"test\"", "CC0", {{"mine/" + name + ".pt", {"https://a.org/x.pt"}, 3, sha256("abc")}}, true};
  }
  static std::string problem_of(const std::string& toml) {
    try {
      (void)read_catalogue(toml, "c.toml");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::config);
      return error.message();
    }
    return "";
  }
  TemporaryFolder folder_;
};

TEST_F(Catalogue, TheShippedOneHoldsWhatTheSettingsNameByDefault) {
  std::set<std::string> names;
  for (const auto& entry : shipped_catalogue()) names.insert(entry.name);
  for (const auto* name : {"contentvec", "hubert-base", "rmvpe", "fcpe", "crepe", "crepe-tiny", "rvc-v1-40k",
                           "rvc-v2-32k", "rvc-v2-40k", "rvc-v2-48k"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  for (const auto* file : {"rmvpe.pt", "fcpe.pt", "crepe-full.pth", "crepe-tiny.pth"}) {
    EXPECT_NE(how_to_fetch(file), "") << file;
  }
  EXPECT_EQ(how_to_fetch("contentvec"), "; `melisma models fetch contentvec` gets it (361 MiB)");
  EXPECT_EQ(how_to_fetch("mine.pt"), "");
}

TEST_F(Catalogue, MissingWeightsThatItHasAreSaidToBeFetchable) {
  try {
    (void)find_weights("rmvpe.pt");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("`melisma models fetch rmvpe` gets it (173 MiB)"));
  }
}

TEST_F(Catalogue, TomlKeepsEveryRow) {
  const auto entries = read_catalogue(to_toml(shipped_catalogue()), "again");
  ASSERT_EQ(entries.size(), shipped_catalogue().size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].name, shipped_catalogue()[i].name);
    ASSERT_EQ(entries[i].files.size(), shipped_catalogue()[i].files.size());
    for (std::size_t k = 0; k < entries[i].files.size(); ++k) {
      EXPECT_EQ(entries[i].files[k].urls, shipped_catalogue()[i].files[k].urls);
      EXPECT_EQ(entries[i].files[k].sha256, shipped_catalogue()[i].files[k].sha256);
      EXPECT_EQ(entries[i].files[k].size, shipped_catalogue()[i].files[k].size);
    }
  }
}

TEST_F(Catalogue, EveryProblemOfAFileIsSaidOnItsLine) {
  const auto problem = problem_of(
      "[[model]]\nname = \"a\"\nsumary = \"x\"\nlicence = \"MIT\"\n"
      "[[model.file]]\npath = \"../a.pt\"\nurls = [\"ftp://a\"]\nsize = 0\nsha256 = \"AB\"\n");
  EXPECT_THAT(problem, HasSubstr("c.toml:3:10: unknown key 'sumary'; did you mean 'summary'?"));
  EXPECT_THAT(problem, HasSubstr("'summary' must be a text that is not empty"));
  EXPECT_THAT(problem, HasSubstr("the path '../a.pt' must stay inside the folder of weights"));
  EXPECT_THAT(problem, HasSubstr("c.toml:7:9: 'ftp://a' is no http or https URL"));
  EXPECT_THAT(problem, HasSubstr("'../a.pt' needs a 'size' in bytes"));
  EXPECT_THAT(problem, HasSubstr("'../a.pt' needs a 'sha256' of 64 lower-case hex digits"));
  EXPECT_THAT(problem_of("[[model"), HasSubstr("c.toml:1:"));
  EXPECT_THAT(problem_of(to_toml({mine("a"), mine("a")})), HasSubstr("'a' is there twice"));
}

TEST_F(Catalogue, AnOwnRowIsAddedAndReplacesOnlyWhenAsked) {
  add_to_own_catalogue(mine("mine"), false);
  EXPECT_TRUE(whole_catalogue().front().is_own);
  EXPECT_EQ(whole_catalogue().front().summary, "a \"test\"");
  EXPECT_EQ(whole_catalogue().size(), shipped_catalogue().size() + 1);
  EXPECT_THROW(add_to_own_catalogue(mine("mine"), false), Error);
  EXPECT_THROW(add_to_own_catalogue(mine("rmvpe"), false), Error);
  add_to_own_catalogue(mine("rmvpe"), true);
  EXPECT_EQ(whole_catalogue().size(), shipped_catalogue().size() + 1);
}

TEST_F(Catalogue, AFileIsPresentOnlyIfItIsTheOneMeant) {
  const auto file = mine("x").files.front();
  EXPECT_EQ(state_of(file, true), FileState::absent);
  std::filesystem::create_directories(folder_ / "mine");
  write_file_atomically(folder_ / "mine/x.pt", "abcd");
  EXPECT_EQ(state_of(file, true), FileState::other_size);
  write_file_atomically(folder_ / "mine/x.pt", "abd");
  EXPECT_EQ(state_of(file, false), FileState::present);
  EXPECT_EQ(state_of(file, true), FileState::other_content);
  write_file_atomically(folder_ / "mine/x.pt", "abc");
  EXPECT_EQ(state_of(file, true), FileState::present);
}

}  // namespace
}  // namespace melisma
