// `melisma train` as people run it: the real program, a tiny RVC voice on synthesised recordings.
#include <signal.h>

#include "tests/cli/training.h"
#include "tools/cli/commit.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::ProgramRun;

class TrainCommand : public testing::Training {};

TEST_F(TrainCommand, TrainsSavesAndSaysWhatMatters) {
  const auto result = train_tiny("whole");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const auto* part :
       {"dataset ", "mel 45, kl 1, feature 2, adversarial 1", "seed 1234", "step of generator", "overtraining",
        "checkpoints", "computing", "CPU, networks in fp32", "grad_norm generator", "items/s", "left",
        "held-out mel_distance", "the best so far", "best epoch", "next: melisma evaluate whole-"}) {
    EXPECT_THAT(result.err, HasSubstr(part));
  }
  EXPECT_EQ(status("whole")["state"], "finished");
  EXPECT_EQ(status("whole")["epoch"], 2);
  EXPECT_EQ(testing::load_json(run_folder("whole") / "manifest.json")["commit"], program_commit());
  const auto run = run_folder("whole");
  for (const auto* file : {"config.toml", "manifest.json", "metrics.jsonl", "checkpoints/index.json"}) {
    EXPECT_TRUE(fs::exists(run / file)) << file;
  }
}

TEST_F(TrainCommand, OneEpochAndAResumeEqualTwoEpochsBitForBit) {
  ASSERT_EQ(train_tiny("straight").exit_code, 0);
  ASSERT_EQ(train_tiny("halves", {"--epochs", "1"}).exit_code, 0);
  const auto resumed = train({"--resume", "halves", "--epochs", "2"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  for (const auto* file : {"model.safetensors", "discriminator.safetensors", "optimizer.safetensors", "state.json"}) {
    EXPECT_EQ(read_file(checkpoint("straight") / file), read_file(checkpoint("halves") / file)) << file;
  }
}

TEST_F(TrainCommand, SigtermSavesAndAResumeGoesOn) {
  ProgramRun run(folder(), tiny_words("stopped", {"--epochs", "500"}));
  ASSERT_TRUE(run.wait_until_it_says("epoch 1 | held-out")) << run.err();
  ::kill(run.pid(), SIGTERM);
  const auto result = run.finish();
  EXPECT_EQ(result.exit_code, 143) << result.err;
  EXPECT_THAT(result.err, HasSubstr("everything is saved in"));
  EXPECT_EQ(status("stopped")["state"], "interrupted");
  const auto epoch = status("stopped")["epoch"].get<int>() + 1;
  const auto resumed = train({"--resume", "stopped", "--epochs", std::to_string(epoch)});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("resumed"));
}

TEST_F(TrainCommand, AResumeWithTheOvertrainingBudgetSpentTrainsNothingAndSucceeds) {
  const auto first = train_tiny(
      "spent", {"--epochs", "9", "--set", "overtraining.patience=1", "--set", "overtraining.min_delta=1000"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("overtraining: stop (no improvement since epoch 1)"));
  const auto again = train({"--resume", "spent"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.err, HasSubstr("2 epochs are trained, 0 of them now: overtrained"));
  EXPECT_THAT(again.err, HasSubstr("best epoch"));
  EXPECT_EQ(status("spent")["state"], "overtrained");
}

TEST_F(TrainCommand, RecordingsWithoutAVoicedFrameTrainToo) {
  testing::Lcg random(3);
  fs::create_directories(folder() / "hiss");
  for (int k = 0; k < 6; ++k) {
    std::vector<float> samples(16000);
    for (auto& sample : samples) sample = 0.2F * static_cast<float>(random.next());
    write_audio(folder() / "hiss" / (std::to_string(k) + ".wav"), {std::move(samples), 1, 16000});
  }
  ASSERT_EQ(testing::run_program(folder(), {"prepare", "hiss", "--name", "hiss", "--pitch", "yin"}).exit_code, 0);
  const auto result = train({"--dataset", "hiss", "--config", "tiny.toml", "--epochs", "1"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, ::testing::Not(HasSubstr("step skipped")));
}

TEST_F(TrainCommand, StartsFromTheWeightsOfAnotherRun) {
  ASSERT_EQ(train_tiny("base", {"--epochs", "1"}).exit_code, 0);
  const auto weights = checkpoint("base") / "model.safetensors";
  const auto tuned = train_tiny("tuned", {"--epochs", "1", "--from", weights.string()});
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_THAT(tuned.err, HasSubstr("starts from"));
  EXPECT_EQ(testing::load_json(run_folder("tuned") / "manifest.json")["from"]["path"], weights.string());
}

TEST_F(TrainCommand, SpeakersByFolderNameFindTheirRowsInWeightsOfAnotherCount) {
  ASSERT_EQ(train_tiny("one", {"--epochs", "1"}).exit_code, 0);  // mara alone, of four rows
  const auto two = (testing::tiny_workspace() / "datasets/two.h5").string();
  const auto result = train({"--dataset", two, "--config", "tiny.toml", "--name", "duo", "--epochs", "1", "--set",
                             "model.speakers=2", "--from", (checkpoint("one") / "model.safetensors").string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the first 2 of the 4 rows in the file are taken; mara found by name"));
  const auto model = testing::GoldenFile::load(checkpoint("duo") / "model.safetensors");
  EXPECT_EQ(model.json("config")["speaker_names"], nlohmann::json({"joel", "mara"}));
  EXPECT_EQ(model.at("emb_g.weight").shape[0], 2);
}

TEST_F(TrainCommand, FrozenPartsAreToldAndKeepTheirBitsThroughAResume) {
  ASSERT_EQ(train_tiny("start", {"--epochs", "1"}).exit_code, 0);
  const auto from = (checkpoint("start") / "model.safetensors").string();
  const auto first = train_tiny("cold", {"--epochs", "1", "--from", from, "--set", R"(freeze.generator=["enc_p"])"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const auto resumed = train({"--resume", "cold", "--epochs", "2"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(first.err, HasSubstr("parameters of the generator: enc_p"));
  EXPECT_THAT(resumed.err, HasSubstr("parameters of the generator: enc_p"));
  const auto before = testing::GoldenFile::load(from),
             after = testing::GoldenFile::load(checkpoint("cold") / "model.safetensors");
  for (const auto& [name, tensor] : before.tensors) {
    if (!name.starts_with("enc_p.")) continue;
    EXPECT_EQ(after.at(name).values, tensor.values) << name;
  }
  EXPECT_NE(after.at("dec.conv_pre.weight").values, before.at("dec.conv_pre.weight").values);
}

}  // namespace
}  // namespace melisma
