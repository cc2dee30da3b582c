// `melisma bench pitch`: every method has its row, those without weights too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "infer/features/pitch_recipe.h"
#include "tests/cli/program_run.h"

namespace melisma {
namespace {
using ::testing::Contains;
using ::testing::HasSubstr;

TEST(SlowBench, PitchMeasuresEveryMethodAndSaysWhichItCannot) {
  const testing::TemporaryFolder folder;
  ::setenv("MELISMA_WEIGHTS", folder.path().c_str(), 1);
  const auto result = testing::run_program(
      folder.path(), {"bench", "pitch", "--quick", "--repeats", "1", "--json", "--python", "no-such-python"});
  ::unsetenv("MELISMA_WEIGHTS");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  const std::vector<std::vector<std::string>> rows = json["tables"][0]["rows"];
  EXPECT_EQ(rows[0], (std::vector<std::string>{"method", "RPA", "RCA", "VUV error", "octave errors"}));
  for (std::size_t i = 0; i < kPitchMethodNames.size(); ++i) EXPECT_EQ(rows[i + 1][0], kPitchMethodNames[i]);
  // Harvest hears nearly everything in these voices; a network without weights nothing.
  EXPECT_GT(std::stod(rows[3][1]), 95);
  EXPECT_LT(std::stod(rows[3][4]), 2);
  EXPECT_EQ(rows[6], (std::vector<std::string>{"rmvpe", "-", "-", "-", "-"}));
  EXPECT_THAT(json["setting"].get<std::vector<std::string>>(),
              Contains(HasSubstr("rmvpe not measured: there are no weights 'rmvpe.pt'")));
}

}  // namespace
}  // namespace melisma
