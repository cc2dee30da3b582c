// What is known against the held-out recordings of a run, by what it began with.
#include "experiments/runs/held_out_caveat.h"

#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

Json manifest_of(const std::string& dataset) { return {{"dataset", {{"content_hash", dataset}}}, {"from", nullptr}}; }

constexpr const char* kUnknown =
    "this run began with 'base.pth': whoever trained those weights may have heard the held-out recordings, and scores "
    "on them may be too good";

TEST(HeldOutCaveat, FreshWeightsHaveHeardNothing) {
  EXPECT_EQ(held_out_caveat(manifest_of("a")), "");
  EXPECT_EQ(held_out_caveat(manifest_of("a"), "b"), "");
  EXPECT_EQ(held_out_caveat(Json::object()), "");
}

TEST(HeldOutCaveat, ABaseFromElsewhereMayHaveHeardAnything) {
  auto manifest = manifest_of("a");
  manifest["from"] = {{"path", "bases/base.pth"}};
  EXPECT_EQ(held_out_caveat(manifest), kUnknown);
  EXPECT_EQ(held_out_caveat(manifest, "b"), kUnknown);
  EXPECT_EQ(caveat_of_base("bases/base.pth", "a"), kUnknown);
}

TEST(HeldOutCaveat, ARunOfTheSameDatasetHasHeardWhatThatOneHas) {
  const testing::TemporaryFolder folder;
  const auto weights = folder / "runs/first/checkpoints/epoch-0001/base.pth";
  fs::create_directories(weights.parent_path());
  const auto begun_with = [&](const Json& manifest, const std::string& dataset) {
    write_file_atomically(folder / "runs/first/manifest.json", manifest.dump());
    auto next = manifest_of(dataset);
    next["from"] = {{"path", weights.string()}, {"held_out_caveat", caveat_of_base(weights, dataset)}};
    return held_out_caveat(next);
  };
  EXPECT_EQ(begun_with(manifest_of("a"), "a"), "");
  EXPECT_EQ(begun_with(manifest_of("a"), "b"), kUnknown);  // its train split may hold what is held out here
  auto doubtful = manifest_of("a");
  doubtful["from"] = {{"path", "base.pth"}, {"held_out_caveat", "somebody has"}};
  EXPECT_EQ(begun_with(doubtful, "a"), "somebody has");
}

TEST(HeldOutCaveat, AnImportedRunSaysItselfWhatTheToolHeard) {
  auto manifest = manifest_of("a");
  manifest["imported"] = {{"generator", {{"path", "logs/base.pth"}}}, {"held_out_caveat", ""}};
  EXPECT_EQ(held_out_caveat(manifest), "");
  EXPECT_EQ(held_out_caveat(manifest, "b"), kUnknown);
  manifest["imported"]["held_out_caveat"] = "all of them";
  EXPECT_EQ(held_out_caveat(manifest, "a"), "all of them");
  manifest["imported"].erase("held_out_caveat");
  EXPECT_EQ(held_out_caveat(manifest), kUnknown);
}

}  // namespace
}  // namespace melisma
