// `melisma extract --format applio-checkpoint`: training goes on elsewhere.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/cli/tiny_voice.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::golden_folder;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

class ExtractCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto files = golden_folder("rvc/files");
    if (!fs::exists(files)) GTEST_SKIP();
    fs::copy_file(files / "G_train_applio.pth", folder_ / "G_7.pth");
    fs::copy_file(files / "D_train_applio_nostate.pth", folder_ / "D_7.pth");
  }
  testing::ProgramResult extract(const Words& more) const {
    Words all{"extract"};
    all.insert(all.end(), more.begin(), more.end());
    return testing::run_program(folder_.path(), all);
  }
  [[nodiscard]] std::string bytes(const std::string& file) const { return read_file(folder_ / file); }
  testing::TemporaryFolder folder_;
};

TEST_F(ExtractCheckpoint, FromOneToolToTheOtherAndBackLosesNothing) {
  for (const Words& words : {Words{"G_7.pth", "--format", "applio-checkpoint", "-o", "direct"},
                             Words{"G_7.pth", "--format", "webui-checkpoint", "-o", "webui"},
                             Words{"webui/G_1.pth", "--format", "webui-old-checkpoint", "-o", "old"},
                             Words{"old/G_1.pth", "--format", "applio-checkpoint", "-o", "back"}}) {
    const auto result = extract(words);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("will not load D_1.pth: it makes discriminators of version v2 at full width"));
  }
  EXPECT_EQ(bytes("back/G_1.pth"), bytes("direct/G_1.pth"));
  EXPECT_EQ(bytes("back/D_1.pth"), bytes("direct/D_1.pth"));
  EXPECT_NE(bytes("webui/G_1.pth"), bytes("direct/G_1.pth"));
  EXPECT_NE(bytes("webui/G_1.pth"), bytes("old/G_1.pth"));
  const auto config = testing::load_json(folder_ / "webui/config.json");
  EXPECT_EQ(config["data"]["sampling_rate"], 40000);
  EXPECT_EQ(config["model"]["upsample_rates"], nlohmann::json({10, 10, 2, 2}));
}

TEST_F(ExtractCheckpoint, SaysWhereItGoesOn) {
  const auto applio = extract({"G_7.pth", "--format", "applio-checkpoint"});
  EXPECT_THAT(applio.out, HasSubstr("melisma-workspace/models/G_7-e0007-applio-checkpoint: G_1.pth and D_1.pth"));
  EXPECT_THAT(applio.out, HasSubstr("Applio trains on from epoch 8"));
  EXPECT_THAT(extract({"G_7.pth", "--format", "webui-checkpoint"}).out, HasSubstr("RVC-WebUI trains on from epoch 7"));
  const auto json = nlohmann::json::parse(extract({"G_7.pth", "--format", "applio-checkpoint", "--json"}).out);
  EXPECT_EQ(json["epoch"], 7);
  EXPECT_EQ(json["files"], nlohmann::json({"G_1.pth", "D_1.pth", "config.json"}));
}

TEST_F(ExtractCheckpoint, WhatCannotBeOneIsRefused) {
  const auto refusal = [&](const Words& words, int exit_code) {
    const auto result = extract(words);
    EXPECT_EQ(result.exit_code, exit_code);
    return result.err;
  };
  EXPECT_THAT(refusal({"G_7.pth", "--format", "applio-checkpoint", "--dtype", "fp16"}, 2),
              HasSubstr("a training checkpoint is kept as it was trained; leave out --dtype"));
  EXPECT_THAT(refusal({"G_7.pth", "--format", "applio-checkpoint", "--epoch", "3"}, 2), HasSubstr("is one checkpoint"));
  EXPECT_THAT(refusal({"--workspace", testing::tiny_workspace(), "tiny", "--format", "applio-checkpoint"}, 2),
              HasSubstr("voices with 256 (v1) or 768 (v2) content channels"));
  EXPECT_THAT(refusal({testing::tiny_voice(), "--format", "applio-checkpoint"}, 2),
              HasSubstr("holds one network without optimizer state"));
  fs::remove(folder_ / "D_7.pth");
  EXPECT_THAT(refusal({"G_7.pth", "--format", "applio-checkpoint"}, 3), HasSubstr("no D file lies beside 'G_7.pth'"));
}

}  // namespace
}  // namespace melisma
