#include "tools/config/flat_toml.h"

#include <gtest/gtest.h>

#include "tools/base/error.h"

namespace melisma {
namespace {

TEST(FlatToml, ComparesFilesOfDifferentRecipes) {
  const auto left = flatten_toml("x = 1\n[s]\ny = \"two\"\nsame = [1, 2]\n", "left");
  const auto right = flatten_toml("[s]\ny = \"2\"\nz = true\nsame = [1,2]\n", "right");
  const auto found = differences(left, right);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].path, "s.y");
  EXPECT_EQ(found[1].path, "s.z");
  EXPECT_EQ(found[1].left, "");
  EXPECT_EQ(found[1].right, "true");
  EXPECT_EQ(found[2].path, "x");
  EXPECT_EQ(found[2].left, "1");
}

TEST(FlatToml, KeepsEveryValueOnOneLine) {
  const auto flat = flatten_toml("text = \"\"\"one\ntwo\"\"\"\nlist = [\n  'a',\n  'b'\n]\n", "x");
  ASSERT_EQ(flat.size(), 2u);
  EXPECT_EQ(flat[0].value, R"(["a", "b"])");
  EXPECT_EQ(flat[1].value, R"("one\ntwo")");
}

TEST(FlatToml, SaysWhereTextIsNotToml) {
  try {
    (void)flatten_toml("a = 1\nb = = 2\n", "run/config.toml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(error.message().starts_with("run/config.toml:2:")) << error.message();
  }
}

}  // namespace
}  // namespace melisma
