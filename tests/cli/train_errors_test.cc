// Every way `melisma train` can be refused or end badly, by exact message and exit code.
#include "data/sets/dataset_writer.h"
#include "tests/cli/training.h"
#include "tests/support/small_disk.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::LockedFolder;
using ::testing::MatchesRegex;
using testing::ProgramRun;
using testing::run_program;
using testing::SmallDisk;
constexpr auto kValidation = Split::validation, kTest = Split::test, kTrain = Split::train;

class TrainErrors : public testing::Training {
 protected:
  // A dataset without features: what is wrong with it is found before it is heard.
  static void write_plain_dataset(const std::string& name, std::int64_t rate_hz, const std::vector<Split>& splits,
                                  bool is_same_sound = false) {
    DatasetPlan plan;
    plan.sample_rate_hz = rate_hz;
    plan.parameters = "{}";
    plan.tool_version = "test";
    plan.speakers = {"mara"};
    for (std::size_t i = 0; i < splits.size(); ++i) {
      plan.clips.push_back({.recording = std::to_string(i) + ".wav", .length = rate_hz, .split = splits[i]});
    }
    write_dataset(dataset_file(name), plan, [&](DatasetWriter& writer) {
      for (std::size_t i = 0; i < splits.size(); ++i) {
        const auto level = is_same_sound ? 0.5F : 0.1F * static_cast<float>(i);
        writer.write_wave(static_cast<std::int64_t>(i), std::vector<float>(static_cast<std::size_t>(rate_hz), level));
      }
    });
  }
  static std::string path_of_dataset(const std::string& name) { return fs::canonical(dataset_file(name)).string(); }
  // The run "base" of one epoch, made by the first test that asks for its weights.
  static fs::path weights() {
    if (run_folder("base").empty()) {
      const auto made = train_tiny("base", {"--epochs", "1"});
      if (made.exit_code != 0) throw std::runtime_error(made.err);
    }
    return checkpoint("base") / "model.safetensors";
  }
  static fs::path checkpoint_of_base() { return weights().parent_path(); }
  static constexpr const char* kOtherWeights =
      ". Set the preset, vocoder and content features that it was made for, or start from other weights";
  static void expect_refusal(const Words& more, int exit_code, const std::string& message) {
    expect_error(train(more), exit_code, message);
  }
  // Starting from `file` is refused before a run is made.
  static void expect_start_refused(const fs::path& file, const std::string& message, const Words& more = {}) {
    Words all{"--from", file.string()};
    all.insert(all.end(), more.begin(), more.end());
    expect_error(train_tiny("refused", all), 3, "checkpoint: " + message);
    EXPECT_TRUE(run_folder("refused").empty());
  }
};

TEST_F(TrainErrors, ADeviceThatIsNoneOrCannotBeUsed) {
  const auto unknown = train_tiny("refused", {"--set", "trainer.device=gpu"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, ::testing::HasSubstr("or auto (a GPU if there is one); found 'gpu'"));
  ::setenv("CUDA_VISIBLE_DEVICES", "", 1);  // as for all tests of the CPU
  expect_error(train_tiny("refused", {"--set", "trainer.device=cuda"}), 5,
               "device: the device 'cuda' cannot be used: CUDA_VISIBLE_DEVICES is empty, which hides every GPU; unset "
               "it, or choose cpu");
  for (const auto* precision : {"fp16", "tf32"}) {
    const auto refused = train_tiny("refused", {"--set", std::string("trainer.precision=") + precision});
    EXPECT_EQ(refused.exit_code, 5);
    EXPECT_THAT(refused.err, ::testing::HasSubstr(std::string("trainer.precision is ") + precision +
                                                  ", which GPUs compute with and CPUs do not"));
  }
  EXPECT_TRUE(run_folder("refused").empty());
}

TEST_F(TrainErrors, WeightsOfAnotherArchitecture) {
  const auto name = weights().string();
  expect_start_refused(
      weights(),
      "'" + name + "' does not fit the model: hidden_channels is 8 in the file but 24 in the model" + kOtherWeights,
      {"--set", "model.hidden_channels=24"});
  expect_start_refused(
      weights(),
      "'" + name + "' does not fit the model: vocoder is hifigan in the file but mrf in the model" + kOtherWeights,
      {"--set", "model.vocoder=mrf"});
  const auto judge = checkpoint("base") / "discriminator.safetensors";
  expect_start_refused(judge,
                       "'" + judge.string() + "' does not hold an RVC voice: no tensor 'enc_p...' among its 129");
  ASSERT_EQ(run_program(folder(), {"extract", "base", "-o", "voice.safetensors"}).exit_code, 0);
  expect_start_refused("voice.safetensors",
                       "'voice.safetensors' is an extracted voice without the posterior encoder (enc_q): training "
                       "needs the weights of a whole generator, such as a run's checkpoint, a pretrained G file, or a "
                       "voice fused of these with --for-training");
}

TEST_F(TrainErrors, WeightsOfAnotherRate) {
  ASSERT_EQ(run_program(folder(), {"prepare", "in", "--name", "slower", "--pitch", "yin", "--sample-rate", "32000"})
                .exit_code,
            0);
  const auto result =
      train({"--dataset", "slower", "--config", "tiny.toml", "--set", "preset=v2-32k", "--from", weights().string()});
  expect_error(result, 3,
               "checkpoint: '" + weights().string() +
                   "' does not fit the model: sample_rate_hz is 40000 in the file but 32000 in the model" +
                   kOtherWeights);
}

TEST_F(TrainErrors, ADiscriminatorOfAnotherVersion) {
  const auto judge = (checkpoint_of_base() / "discriminator.safetensors").string();
  expect_start_refused(weights(),
                       "it is a discriminator v1 (scale_divisor 16, period_divisor 32), but the model's is v2 "
                       "(scale_divisor 16, period_divisor 32); set [discriminator] so, or name another file in "
                       "discriminator_from (while loading the discriminator '" +
                           judge + "')",
                       {"--set", "discriminator.version=v2"});
}

TEST_F(TrainErrors, WeightsThatAreMissingOrTruncated) {
  expect_start_refused("nowhere.pth", "there is no file 'nowhere.pth'");
  const auto cut = folder() / "cut.safetensors";
  fs::copy_file(weights(), cut);
  fs::resize_file(cut, fs::file_size(cut) / 2);
  const auto result = train_tiny("refused", {"--from", cut.string()});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, MatchesRegex("melisma: checkpoint: its tensors need [0-9]+ bytes, but [0-9]+ follow the "
                                       "header; it is truncated \\(while reading '[^']*cut.safetensors'\\)\n"));
}

TEST_F(TrainErrors, FilesOfTheRvcToolsThatAreTruncatedMaliciousOrOfAnotherArchitecture) {
  const auto files = testing::golden_folder("rvc/files");
  if (!fs::exists(files)) GTEST_SKIP() << "no rvc fixtures";
  const auto reading = [](const fs::path& file) { return " (while reading '" + file.string() + "')"; };
  const auto cut = files / "bad_truncated.pth", evil = files / "evil_os_system.pth";
  expect_start_refused(
      cut, "it starts like a zip archive but has no table of contents: the file is truncated" + reading(cut));
  expect_start_refused(evil,
                       "its pickle refers to 'posix.system', which weights do not need: the file is unsafe or no "
                       "weights file; nothing was run" +
                           reading(evil));
  EXPECT_FALSE(fs::exists(folder() / "melisma_canary.txt"));
  const auto other = files / "G_train_applio.pth";
  const auto result = train_tiny("refused", {"--from", other.string()});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, ::testing::StartsWith("melisma: checkpoint: '" + other.string() +
                                                "' does not fit the model: content_channels is 768 in the file but "));
}

TEST_F(TrainErrors, ADatasetOfAnotherRate) {
  write_plain_dataset("slow", 32000, {kTrain, kValidation, kTest});
  expect_refusal({"--dataset", "slow"}, 3,
                 "data: '" + path_of_dataset("slow") +
                     "' is at 32000 Hz but the model at 40000 Hz; choose a preset of that rate or prepare again");
}

TEST_F(TrainErrors, ADatasetWithoutTheNeededFeatures) {
  write_plain_dataset("bare", 40000, {kTrain, kValidation, kTest});
  const std::string content =
      R"({"method":"cepstral","cepstral":{"bands":40,"coefficients":16,"delta_frames":9,"tract_normalisation":true},)"
      R"("revision":3})";
  expect_refusal({"--dataset", "bare"}, 3,
                 "data: '" + path_of_dataset("bare") + "' has no content features " + content +
                     "; it has: none. Prepare it with these, or choose in [content] what it has");
  const auto result = train({"--dataset", "mara"});  // prepared with yin, the default is another
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, ::testing::HasSubstr("' has no pitch features {"));
  EXPECT_THAT(result.err, ::testing::HasSubstr(R"(it has: {"method":"yin")"));
}

TEST_F(TrainErrors, ADatasetWithTooManySpeakers) {
  const auto two = fs::canonical(testing::tiny_workspace() / "datasets/two.h5").string();
  expect_refusal({"--dataset", two, "--config", "tiny.toml", "--set", "model.speakers=1"}, 2,
                 "config: '" + two + "' has 2 speakers but model.speakers is 1");
}

TEST_F(TrainErrors, ADatasetThatHoldsNothingOut) {
  write_plain_dataset("unheld", 40000, {kTrain, kTrain, kTest});
  expect_refusal({"--dataset", "unheld"}, 3,
                 "data: '" + path_of_dataset("unheld") +
                     "' has no clips in its validation split: expected at least one, found 2 train, 0 validation, 1 "
                     "test; prepare more recordings, or other shares of the split");
  write_plain_dataset("leaky", 40000, {kTrain, kValidation}, /*is_same_sound=*/true);
  expect_refusal({"--dataset", "leaky"}, 3,
                 "data: '" + path_of_dataset("leaky") +
                     "' is not held out: clip 1 of '1.wav' (validation split) has the same sound as clip 0 of '0.wav' "
                     "(train split); prepare the dataset again");
}

TEST_F(TrainErrors, NamesAndSettingsThatAreMisspelt) {
  const auto other = (folder() / "other").string();  // a workspace with one dataset
  fs::create_directories(folder() / "other/datasets");
  fs::copy_file(dataset_file("mara"), folder() / "other/datasets/mara.h5", fs::copy_options::skip_existing);
  expect_error(run_program(folder(), {"train", "rcv", "--dataset", "mara"}), 2,
               "usage: unknown recipe 'rcv'; did you mean 'rvc'? known: rvc, mix");
  expect_refusal({"--dataset", "maara", "--workspace", other}, 3,
                 "data: unknown dataset 'maara'; did you mean 'mara'? known: mara");
  expect_refusal({"--dataset", "mara", "--workspace", "nothing"}, 3,
                 "data: no dataset 'mara': the workspace 'nothing' has none yet; melisma prepare makes one");
  expect_refusal({"--dataset", "gone/mara.h5"}, 3, "data: there is no dataset file 'gone/mara.h5'");
  expect_refusal({"--dataset", "mara", "--set", "trainer.epocs=3"}, 2,
                 "config: --set trainer.epocs=3: unknown key 'trainer.epocs'; did you mean 'trainer.epochs'?");
  write_file_atomically(folder() / "bad.toml", "preset = \"v2-40k\"\n[trainer]\nepocs = 3\nseed = -1\n");
  expect_refusal({"--dataset", "mara", "--config", "bad.toml"}, 2,
                 "config: 2 problems:\n  bad.toml:3:1: unknown key 'trainer.epocs'; did you mean 'trainer.epochs'?\n  "
                 "bad.toml:4:1: 'trainer.seed' must be at least 0, found -1");
  expect_refusal({"--dataset", "mara", "--set", "preset=v2-44k"}, 2,
                 "config: --set preset=v2-44k: 'preset' has an unknown value 'v2-44k'; did you mean 'v2-24k' or "
                 "'v2-40k' or 'v2-48k'? known: v1-32k, v1-40k, v1-48k, v2-24k, v2-32k, v2-40k, v2-48k");
  expect_error(train_tiny("x", {"--set", R"(freeze.generator=["enc_x", "dec"])"}), 2,
               "config: freeze.generator: no parameter is called 'enc_x' or begins with it; did you mean 'enc_p' or "
               "'enc_q'?");
  expect_refusal(
      {"--dataset", "mara", "--set", "model.vocoder=refinegun"}, 2,
      "config: --set model.vocoder=refinegun: 'model.vocoder' has an unknown value 'refinegun'; did you mean "
      "'refinegan'? known: hifigan, mrf, refinegan");
  expect_refusal({"--dataset", "mara", "--config", "none.toml"}, 2, "config: no settings file 'none.toml'");
  expect_refusal({"--dataset", "mara", "--epohcs", "3"}, 2,
                 "usage: unknown option '--epohcs'; did you mean '--epochs'? melisma train --help lists them");
  expect_refusal({}, 2, "usage: --dataset is needed to start a run (or --resume to go on with one)");
  expect_refusal({"--resume", "alice", "--workspace", "nothing"}, 2,
                 "usage: no run 'alice': the workspace 'nothing' has no runs yet; melisma train makes one");
  weights();
  const auto run = train({"--resume", "bsae"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, ::testing::StartsWith("melisma: usage: unknown run 'bsae'; did you mean 'base'? known: "));
}

TEST_F(TrainErrors, AResumeKeepsTheSettingsOfTheRun) {
  weights();
  expect_refusal({"--resume", "base", "--set", "losses.mel=1"}, 2,
                 "config: a resumed run keeps its settings: losses.mel is 45.0 in the run and cannot become 1.0; start "
                 "another run with --name");
  expect_refusal({"--resume", "base", "--from", "x"}, 2,
                 "usage: --resume takes settings and weights from the run; leave out --from");
  expect_error(train_tiny("base", {"--epochs", "1"}), 2,
               "usage: run '" + run_folder("base").filename().string() +
                   "' is there already; go on with it by --resume, or choose another --name");
}

TEST_F(TrainErrors, ADamagedCheckpointIsNamedAndNothingStartsAnew) {
  ASSERT_EQ(train_tiny("hurt", {"--epochs", "1"}).exit_code, 0);
  const auto file = checkpoint("hurt") / "model.safetensors";
  const auto bytes = fs::file_size(file);
  fs::resize_file(file, 1000);
  expect_refusal({"--resume", "hurt", "--epochs", "2"}, 3,
                 "checkpoint: '" + fs::canonical(file).string() + "' is damaged: it has 1000 bytes, expected " +
                     std::to_string(bytes) +
                     "; nothing was changed. Name another checkpoint (--resume-epoch K when training, --epoch K when "
                     "extracting), or restore this one from a copy (while training run " +
                     run_folder("hurt").filename().string() + ")");
}

TEST_F(TrainErrors, AWorkspaceThatCannotBeWritten) {
  fs::create_directories(folder() / "blocked");
  write_file_atomically(folder() / "blocked/runs", "a file where the folder should be");
  expect_error(train_tiny("x", {"--workspace", "blocked"}), 5,
               "device: cannot make the folder 'blocked/runs': Not a directory; name another --workspace");
  const LockedFolder disk;
  if (!disk.is_locked()) GTEST_SKIP() << SmallDisk::kWhyNot;
  expect_error(train_tiny("x", {"--workspace", disk.path().string()}), 5,
               "device: cannot make the folder '" + (disk / "runs").string() + "': " + disk.reason() +
                   "; name another --workspace");
}

TEST_F(TrainErrors, AFullDiskIsFoundBeforeTheFirstStep) {
  SmallDisk disk("256k");
  if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
  const auto result = train_tiny("x", {"--workspace", disk.path().string()});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err,
              MatchesRegex("melisma: device: not enough room for checkpoints in '" + disk.path().string() +
                           "': 256 KiB free, expected at least [0-9.]+ MiB \\(2 kept and one being written, [0-9.]+ "
                           "[MK]iB each\\); free space, lower checkpoints.keep_best, or name another --workspace\n"));
  EXPECT_TRUE(fs::is_empty(disk.path()));
}

TEST_F(TrainErrors, ADiskThatFillsUpEndsTheRunAndLeavesTheLastCheckpointWhole) {
  SmallDisk disk("32m");
  if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
  const auto workspace = disk.path().string();
  ProgramRun run(folder(), tiny_words("full", {"--workspace", workspace, "--epochs", "5000", "--set",
                                               "overtraining.rule=off", "--set", "checkpoints.keep_best=0"}));
  ASSERT_TRUE(run.wait_until_it_says("epoch 2 | held-out")) << run.err();
  EXPECT_FALSE(run.wait_until([&] {  // what an old checkpoint leaves free is taken too
    disk.fill_up("filler");
    return false;
  }));
  const auto ended = run.finish();
  EXPECT_EQ(ended.exit_code, 5) << ended.err;
  const auto last_line = ended.err.substr(ended.err.find_last_of('\n', ended.err.size() - 2) + 1);
  EXPECT_THAT(last_line, MatchesRegex("melisma: device: cannot write '" + workspace +
                                      "/[^']*': the disk is full; free space or name another folder \\((while writing "
                                      "a checkpoint; )?while training run full-[0-9a-f]{8}\\)\n"));
  fs::remove(disk / "filler");
  const auto shown = run_program(folder(), {"--workspace", workspace, "runs", "list", "--json"});
  const auto status = nlohmann::json::parse(shown.out)[0]["status"];
  EXPECT_THAT(status["state"], ::testing::AnyOf("failed", "interrupted"));
  const auto extracted = run_program(
      folder(), {"--workspace", workspace, "extract", "full", "--epoch", "last", "--json", "-o", "last.safetensors"});
  ASSERT_EQ(extracted.exit_code, 0) << extracted.err;
  const auto epoch = nlohmann::json::parse(extracted.out)["epoch"].get<int>();
  const auto resumed = train({"--workspace", workspace, "--resume", "full", "--epochs", std::to_string(epoch + 1)});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, ::testing::HasSubstr("after " + std::to_string(epoch) + " epochs, "));
}

}  // namespace
}  // namespace melisma
