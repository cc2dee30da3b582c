// `melisma fuse` as people run it: voices of the RVC tools and our own, their indexes, and every refusal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "tests/cli/tiny_voice.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::GoldenFile;
using ::testing::HasSubstr;
using testing::ProgramResult;
using Words = std::vector<std::string>;

class FuseCommand : public ::testing::Test {
 protected:
  static std::string a() { return testing::tiny_voice().string(); }
  static std::string b() { return testing::other_voice().string(); }

  ProgramResult run(Words words) const {
    words.insert(words.begin(), {"--workspace", testing::tiny_workspace().string()});
    return testing::run_program(folder_.path(), words);
  }
  nlohmann::json fused(Words words) const {
    words.insert(words.begin(), "fuse");
    words.emplace_back("--json");
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
  }
  void expect_refusal(Words words, int exit_code, const std::string& message) const {
    words.insert(words.begin(), "fuse");
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.err, "melisma: " + message + "\n");
  }
  // Every tensor of the two files equal to the bit.
  void expect_equal_tensors(const fs::path& one, const fs::path& other) const {
    const auto first = GoldenFile::load(one), second = GoldenFile::load(other);
    ASSERT_EQ(first.tensors.size(), second.tensors.size());
    for (const auto& [name, tensor] : first.tensors) {
      EXPECT_EQ(tensor.dtype, second.at(name).dtype) << name;
      EXPECT_EQ(tensor.values, second.at(name).values) << name;
    }
  }
  testing::TemporaryFolder folder_;
};

TEST_F(FuseCommand, AllWeightOnOneVoiceIsThatVoiceBitForBit) {
  (void)fused({a(), b(), "--weights", "1,0", "--on", "raw", "-o", "raw.safetensors"});
  expect_equal_tensors(folder_ / "raw.safetensors", a());
  (void)fused({a(), b(), "--weights", "0,1", "-o", "second.safetensors"});
  expect_equal_tensors(folder_ / "second.safetensors", b());
}

TEST_F(FuseCommand, ATrainingStartsFromAFusedVoice) {
  const auto dataset = (testing::tiny_workspace() / "datasets/two.h5").string();
  const auto checkpoint = testing::tiny_checkpoint().string();
  write_file_atomically(folder_ / "tiny.toml", testing::kTinyVoice);
  const auto train_from = [&](const std::string& base) {
    return testing::run_program(folder_.path(), {"train", "rvc", "--dataset", dataset, "--config", "tiny.toml",
                                                 "--name", "next", "--epochs", "1", "--from", base});
  };
  (void)fused({checkpoint, "tiny", "--weights", "0.3,0.7", "--for-training", "-o", "whole.safetensors"});
  const auto trained = train_from("whole.safetensors");
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, ::testing::ContainsRegex("starts from +whole.safetensors"));
  EXPECT_THAT(trained.err, HasSubstr("whoever trained those weights may have heard the held-out recordings"));

  (void)fused({checkpoint, "tiny", "-o", "plain.safetensors"});
  EXPECT_THAT(train_from("plain.safetensors").err,
              HasSubstr("a pretrained G file, or a voice fused of these with --for-training"));
  expect_refusal({a(), b(), "--for-training", "-o", "x.pth"}, 2,
                 "usage: training starts from whole weights in fp32; with --for-training name a .safetensors file and "
                 "leave --dtype out");
  EXPECT_THAT(run({"fuse", a(), b(), "--for-training", "-o", "x.safetensors"}).err,
              HasSubstr("is an extracted voice without the posterior encoder (enc_q)"));
}

TEST_F(FuseCommand, AVoiceWithItselfIsThatVoice) {
  (void)fused({a(), a(), "--on", "raw", "-o", "same.safetensors"});
  expect_equal_tensors(folder_ / "same.safetensors", a());
}

TEST_F(FuseCommand, TheResultSpeaksAndRecordsItsParents) {
  const auto result =
      fused({a(), b(), "tiny", "--weights", "0.5,0.3,0.2", "--part", "dec=0.2,0.2,0.6", "-o", "child.safetensors"});
  ASSERT_EQ(result["fused_from"].size(), 3U);
  EXPECT_EQ(result["fused_from"][2]["name"], "tiny, epoch 1");
  EXPECT_EQ(result["weights"]["flow"], nlohmann::json({0.5, 0.3, 0.2}));
  const auto seen = run({"inspect", "child.safetensors", "--json"});
  ASSERT_EQ(seen.exit_code, 0) << seen.err;
  const auto provenance = nlohmann::json::parse(seen.out)["provenance"];
  EXPECT_EQ(provenance["fused_from"], result["fused_from"]);
  EXPECT_EQ(provenance["fused_from"][1]["sha256"].get<std::string>().size(), 64U);
  EXPECT_EQ(provenance["weights"]["decoder"], nlohmann::json({0.2, 0.2, 0.6}));
  const auto recording = testing::tiny_voice().parent_path() / "in" / "joel" / "0.wav";
  const auto spoken = run({"convert", "child.safetensors", recording.string(), "-o", "spoken.wav"});
  ASSERT_EQ(spoken.exit_code, 0) << spoken.err;
  EXPECT_NEAR(read_audio(folder_ / "spoken.wav").seconds(), 2, 1e-3);
}

TEST_F(FuseCommand, WritesVoicesForTheRvcToolsWithTheirParents) {
  const auto parent = testing::golden_folder("rvc/files") / "voice_webui.pth";
  if (!fs::exists(parent)) GTEST_SKIP() << "no fixtures";
  (void)fused({parent.string(), parent.string(), "--method", "slerp", "--weights", "0.25", "--dtype", "fp16", "-o",
               "child.pth"});
  const auto seen = run({"inspect", "child.pth", "--json"});
  ASSERT_EQ(seen.exit_code, 0) << seen.err;
  const auto model = nlohmann::json::parse(seen.out);
  EXPECT_EQ(model["provenance"]["method"], "slerp");
  EXPECT_EQ(model["provenance"]["weights"]["text"], nlohmann::json({0.75, 0.25}));
  EXPECT_TRUE(model["types"].contains("Half"));
}

TEST_F(FuseCommand, EveryMethodMakesAVoice) {
  for (const auto* method : {"sum", "slerp", "karcher", "ties"}) {
    const auto name = std::string(method) + ".safetensors";
    EXPECT_EQ(fused({a(), b(), "--method", method, "-o", name})["method"], method);
    EXPECT_TRUE(fs::exists(folder_ / name));
  }
  (void)fused({a(), b(), a(), "--method", "add-difference", "--weights", "0", "-o", "nothing.safetensors"});
  expect_equal_tensors(folder_ / "nothing.safetensors", a());
}

TEST_F(FuseCommand, TheIndexesBecomeOneInProportion) {
  for (const auto* speaker : {"joel", "mara"}) {
    const auto made = run({"index", "two", "--speaker", speaker, "-o", std::string(speaker) + ".index"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  const auto result =
      fused({a(), b(), "--weights", "3,1", "--index", "joel.index,mara.index", "-o", "child.safetensors"})["index"];
  ASSERT_EQ(result["parents"].size(), 2U);
  EXPECT_NEAR(result["parents"][0]["taken"].get<double>() / result["parents"][1]["taken"].get<double>(), 3, 0.1);
  const auto seen = run({"inspect", "child.index", "--json"});
  ASSERT_EQ(seen.exit_code, 0) << seen.err;
  EXPECT_EQ(nlohmann::json::parse(seen.out)["vectors"], result["vectors"]);
  expect_refusal({a(), b(), "--index", "joel.index", "-o", "x.safetensors"}, 2,
                 "usage: sum takes 2 indexes for these models, 1 is given");
}

TEST_F(FuseCommand, VoicesOfDifferentKindsAreRefusedWithWhatDiffers) {
  const auto foreign = testing::golden_folder("rvc/files") / "voice_applio.pth";
  if (!fs::exists(foreign)) GTEST_SKIP() << "no fixtures";
  const auto result = run({"fuse", a(), foreign.string(), "-o", "x.safetensors"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("'voice.safetensors' and 'voice_applio.pth' cannot become one voice: "));
  EXPECT_THAT(result.err, HasSubstr("inter_channels is 8 in 'voice.safetensors' but "));
  EXPECT_FALSE(fs::exists(folder_ / "x.safetensors"));
}

TEST_F(FuseCommand, MistakesAreAnsweredBeforeAnythingIsRead) {
  const Words out{"-o", "x.safetensors"};
  const auto with = [&](Words words) {
    words.insert(words.end(), out.begin(), out.end());
    return words;
  };
  expect_refusal(
      with({a(), b(), "--method", "slrep"}), 2,
      "usage: unknown method 'slrep'; did you mean 'slerp'? known: sum, add-difference, slerp, karcher, ties");
  expect_refusal(with({a(), b(), "--on", "row"}), 2,
                 "usage: unknown kind of weights 'row'; did you mean 'raw'? known: effective, raw");
  expect_refusal(with({a(), b(), "--part", "decodre=0.2"}), 2,
                 "usage: unknown part 'decodre'; did you mean 'decoder'? known: text, flow, decoder, speaker");
  for (const auto* part : {"decoder", "decoder=", "decoder=a", "decoder=1,", "decoder=1;2"}) {
    expect_refusal(with({a(), b(), "--part", part}), 2,
                   std::string("usage: '") + part + "' is not PART=WEIGHTS; decoder=0.2 and decoder=0.5,0.3,0.2 are");
  }
  expect_refusal(with({a(), b(), "--weights", "1,1,1"}), 2,
                 "usage: sum takes 2 weights for these models, 3 are given: 1, 1, 1");
  expect_refusal(with({a()}), 2, "usage: sum takes at least 2 models, 1 is given");
  expect_refusal({a(), b(), "-o", "x.onnx"}, 2,
                 "usage: 'x.onnx' ends in neither .safetensors nor .pth: which kind of file is it to be?");
  expect_refusal({a(), b(), "-o", "x.pth", "--dtype", "int8"}, 2,
                 "usage: Applio and RVC-WebUI read no int8 weights; use --dtype fp16, or a .safetensors file");
  expect_refusal({a(), b(), "-o", "none/x.pth"}, 5,
                 "device: cannot write 'none/x.pth': the folder does not exist; create it first");
  EXPECT_TRUE(fs::is_empty(folder_.path()) || !fs::exists(folder_ / "x.safetensors"));
}

}  // namespace
}  // namespace melisma
