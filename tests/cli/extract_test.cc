// `melisma extract` as a person runs it: files of the RVC tools, runs, and everything that can go wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/program_run.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using melisma::testing::golden_folder;
using melisma::testing::GoldenFile;
using melisma::testing::ProgramResult;
using melisma::testing::TemporaryFolder;
using ::testing::HasSubstr;

#define SKIP_WITHOUT_RVC_FILES() \
  if (!fs::exists(golden_folder("rvc/files"))) GTEST_SKIP()

std::string rvc_file(const char* name) { return (golden_folder("rvc/files") / name).string(); }

ProgramResult extract(const TemporaryFolder& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "extract");
  return melisma::testing::run_program(folder.path(), arguments);
}

// The run "alice" with checkpoints of epochs 1 and 3 (the best) made from a converted file.
void make_run(const TemporaryFolder& folder) {
  const auto made = extract(folder, {rvc_file("G_train_applio.pth"), "-o", "model.safetensors"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto run = folder / "melisma-workspace/runs/alice-0123abcd";
  for (const int epoch : {1, 3}) {
    const auto place = run / "checkpoints" / ("epoch-000" + std::to_string(epoch) + "-step-000010");
    fs::create_directories(place);
    fs::copy_file(folder / "model.safetensors", place / "model.safetensors");
    std::ofstream(place / "DONE") << nlohmann::json{
        {"format_version", 1}, {"run", "alice-0123abcd"}, {"serial", epoch},    {"epoch", epoch},
        {"step", 10},          {"score", 1.0 / epoch},    {"milestone", false}, {"files", nlohmann::json::array()}};
  }
  std::ofstream(run / "config.toml") << "";
  std::ofstream(run / "manifest.json") << "{}";
  std::ofstream(run / "status.json") << R"({"state": "finished"})";
}

TEST(ExtractCommand, TurnsAnApplioCheckpointIntoAVoiceWithoutPosteriorEncoder) {
  SKIP_WITHOUT_RVC_FILES();
  const TemporaryFolder folder;
  const auto result = extract(folder, {rvc_file("G_train_applio.pth"), "-o", "voice.safetensors", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto facts = nlohmann::json::parse(result.out);
  EXPECT_EQ(facts["epoch"], 7);
  EXPECT_EQ(facts["sample_rate_hz"], 40000);
  EXPECT_EQ(facts["bytes"], fs::file_size(folder / "voice.safetensors"));
  const auto file = GoldenFile::load(folder / "voice.safetensors");
  EXPECT_EQ(file.tensors.size(), 223u);
  EXPECT_EQ(file.metadata.at("family"), "rvc");
  EXPECT_EQ(file.metadata.at("epoch"), "7");
  EXPECT_EQ(file.metadata.at("sha256_of_tensors").size(), 64u);
}

TEST(ExtractCommand, EveryTypeIsSmallerAndReportsItsQuality) {
  SKIP_WITHOUT_RVC_FILES();
  const TemporaryFolder folder;
  for (const auto* type : {"fp16", "bf16", "int8"}) {
    const auto name = std::string("voice.") + type + ".safetensors";
    const auto result = extract(folder, {rvc_file("voice_webui.pth"), "--dtype", type, "-o", name});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("no dataset: name one with --dataset to measure the audio"));
    const auto report = melisma::testing::load_json(folder / (name + ".quality.json"));
    EXPECT_EQ(report["dtype"], type);
    EXPECT_EQ(report["file_bytes"], fs::file_size(folder / name));
    EXPECT_LT(report["tensor_bytes"].get<double>(), report["tensor_bytes_fp32"].get<double>());
    EXPECT_FALSE(report["layers"].empty());
    const auto file = GoldenFile::load(folder / name);
    EXPECT_EQ(file.json("quality")["dtype"], type);
    EXPECT_EQ(file.metadata.at("quantization"), std::string(type) == "int8" ? "int8" : "none");
  }
}

TEST(ExtractCommand, WritesVoicesForTheRvcToolsAndReadsThemBack) {
  SKIP_WITHOUT_RVC_FILES();
  const TemporaryFolder folder;
  const auto made =
      extract(folder, {rvc_file("G_train_webui_nostate.pth"), "--dtype", "fp16", "--format", "pth", "-o", "voice.pth"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto again = extract(folder, {"voice.pth", "--dtype", "fp16", "-o", "again.safetensors"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(GoldenFile::load(folder / "again.safetensors").tensors.at("dec.conv_post.weight").dtype, "F16");
}

TEST(ExtractCommand, AnInt8FileCanBeExtractedForTheRvcToolsAgain) {
  SKIP_WITHOUT_RVC_FILES();
  const TemporaryFolder folder;
  ASSERT_EQ(extract(folder, {rvc_file("voice_webui.pth"), "--dtype", "int8", "-o", "small.safetensors"}).exit_code, 0);
  const auto made = extract(folder, {"small.safetensors", "--format", "pth", "-o", "large.pth"});
  EXPECT_EQ(made.exit_code, 0) << made.err;
}

TEST(ExtractCommand, TakesTheBestTheLastOrAnyEpochOfARun) {
  SKIP_WITHOUT_RVC_FILES();
  const TemporaryFolder folder;
  make_run(folder);
  for (const auto& [which, name] : {std::pair("best", "alice-e0003"), {"last", "alice-e0003"}, {"1", "alice-e0001"}}) {
    const auto result = extract(folder, {"alice", "--epoch", which});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(fs::exists(folder / ("melisma-workspace/models/" + std::string(name) + ".safetensors"))) << which;
  }
  ASSERT_EQ(extract(folder, {"alice", "--dtype", "fp16"}).exit_code, 0);
  const auto report =
      melisma::testing::load_json(folder / "melisma-workspace/models/alice-e0003-fp16.safetensors.quality.json");
  EXPECT_EQ(report["run"], "alice-0123abcd");
}

TEST(ExtractCommand, SaysExactlyWhatIsWrong) {
  SKIP_WITHOUT_RVC_FILES();
  const TemporaryFolder folder;
  make_run(folder);
  const auto expect_refusal = [&](std::vector<std::string> arguments, int exit_code, const std::string& message) {
    const auto result = extract(folder, std::move(arguments));
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.err, "melisma: " + message + "\n");
  };
  const auto frames = [](const std::string& path) {
    return " (while reading '" + path + "'; while extracting '" + path + "')";
  };
  const auto loading = [](const std::string& path) { return " (while extracting '" + path + "')"; };
  expect_refusal({"alice", "--dtype", "fp61"}, 2,
                 "usage: unknown dtype 'fp61'; did you mean 'fp16' or 'fp32'? known: fp32, fp16, bf16, int8");
  expect_refusal({"alice", "--format", "onnx"}, 2,
                 "usage: unknown format 'onnx'; known: safetensors, pth, applio-checkpoint, webui-checkpoint, "
                 "applio-experiment, webui-experiment, webui-old-checkpoint, webui-old-experiment");
  expect_refusal({"alcie"}, 2, "usage: unknown run 'alcie'; did you mean 'alice'? known: alice");
  expect_refusal({"alice", "--epoch", "2"}, 2,
                 "usage: there is no checkpoint of epoch 2; there are: epoch 1 (step 10), epoch 3 (step 10)");
  expect_refusal({"none.pth"}, 2,
                 "usage: no such model file or folder: 'none.pth'; a run of the workspace is named without path");
  expect_refusal({"model.safetensors", "--epoch", "3"}, 2,
                 "usage: 'model.safetensors' is one file; --epoch chooses among the checkpoints of a run");
  expect_refusal({"alice", "--format", "pth", "--dtype", "int8"}, 2,
                 "usage: Applio and RVC-WebUI read no int8 weights; use --dtype fp16, or --format safetensors");
  expect_refusal({"alice", "--format", "pth", "--fold"}, 2,
                 "usage: Applio and RVC-WebUI expect weight norm unfolded; leave --fold out, or use --format "
                 "safetensors");
  const auto truncated = rvc_file("bad_truncated.pth"), evil = rvc_file("evil_os_system.pth");
  expect_refusal({truncated}, 3,
                 "checkpoint: it starts like a zip archive but has no table of contents: the file is truncated" +
                     frames(truncated));
  expect_refusal({evil}, 3,
                 "checkpoint: its pickle refers to 'posix.system', which weights do not need: the file is unsafe or no "
                 "weights file; nothing was run" +
                     frames(evil));
  const auto discriminator = rvc_file("D_train_applio_nostate.pth");
  expect_refusal(
      {discriminator}, 3,
      "checkpoint: it holds no RVC voice: it is a discriminator (D file); the generator (G file) is expected" +
          loading(discriminator));
  expect_refusal({"alice", "-o", "nowhere/voice.safetensors"}, 5,
                 "device: cannot write 'nowhere/voice.safetensors': the folder does not exist; create it first");
  EXPECT_FALSE(fs::exists(folder / "melisma_canary.txt"));
}

TEST(ExtractCommand, AWrongArchitectureNamesTheTensorThatDiffers) {
  SKIP_WITHOUT_RVC_FILES();
  const TemporaryFolder folder;
  const auto result = extract(folder, {rvc_file("bad_shape.pth")});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("checkpoint: its tensors are not those of its configuration: '"));
  EXPECT_THAT(result.err, HasSubstr(" in the file but ["));
}

}  // namespace
}  // namespace melisma
