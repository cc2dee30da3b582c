// `melisma train` as people run it: the real program, a tiny RVC voice on synthesised recordings, and every error path.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>

#include <nlohmann/json.hpp>

#include "data/audio/audio_writer.h"
#include "data/sets/dataset_writer.h"
#include "tests/cli/program_run.h"
#include "tests/data/sets/pseudo_speech.h"
#include "tools/base/atomic_file.h"
#include "tools/cli/commit.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::ProgramRun;
using ::testing::StartsWith;
using testing::TemporaryFolder;
using Words = std::vector<std::string>;

// Fewer than 100,000 parameters: an epoch takes under a second.
constexpr const char* kTinyVoice = R"(preset = "v2-40k"
[model]
inter_channels = 16
hidden_channels = 16
filter_channels = 32
n_layers = 1
posterior_layers = 2
speaker_channels = 8
speakers = 4
segment_frames = 12
upsample_initial_channels = 32
resblock_kernels = [3]
[discriminator]
version = "v1"
scale_divisor = 16
period_divisor = 32
[pitch]
method = "yin"
[data]
batch_size = 4
max_frames = 100
[trainer]
epochs = 2
[validation]
clips = 1
samples = 0
)";

// One workspace for all tests: datasets are made once, each test names its own runs.
class TrainCommand : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<TemporaryFolder>();
    for (std::uint32_t i = 0; i < 6; ++i) {
      const auto path = *shared_ / ("in/mara/" + std::to_string(i) + ".wav");
      fs::create_directories(path.parent_path());
      write_audio(path, Waveform{testing::pseudo_speech(i, 2.0, 16000), 1, 16000});
    }
    write_file_atomically(*shared_ / "tiny.toml", kTinyVoice);
    const auto made = testing::run_program(shared_->path(), {"prepare", "in", "--name", "mara", "--pitch", "yin"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  static void TearDownTestSuite() { shared_.reset(); }

  static Words words(const Words& more) {
    Words all{"train", "rvc"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static ProgramResult train(const Words& more) { return testing::run_program(shared_->path(), words(more)); }
  static ProgramResult train_tiny(const std::string& name, const Words& more = {}) {
    Words all{"--dataset", "mara", "--config", "tiny.toml", "--name", name};
    all.insert(all.end(), more.begin(), more.end());
    return train(all);
  }
  static fs::path folder() { return shared_->path(); }
  static fs::path run_folder(const std::string& name) {
    for (const auto& item : fs::directory_iterator(folder() / "melisma-workspace/runs")) {
      if (item.path().filename().string().starts_with(name + "-")) return item.path();
    }
    return {};
  }
  static nlohmann::json status(const std::string& name) { return testing::load_json(run_folder(name) / "status.json"); }
  // A dataset of silence without features: what is wrong with it is found before it is heard.
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
    fs::create_directories(folder() / "melisma-workspace/datasets");
    write_dataset(folder() / "melisma-workspace/datasets" / (name + ".h5"), plan, [&](DatasetWriter& writer) {
      for (std::size_t i = 0; i < splits.size(); ++i) {
        const auto level = is_same_sound ? 0.5F : 0.1F * static_cast<float>(i);
        writer.write_wave(static_cast<std::int64_t>(i), std::vector<float>(static_cast<std::size_t>(rate_hz), level));
      }
    });
  }
  // The last line on stderr is the error.
  static void expect_error(const ProgramResult& result, int exit_code, const std::string& message) {
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_THAT(result.err, EndsWith("melisma: " + message + "\n"));
  }

  static std::unique_ptr<TemporaryFolder> shared_;
};
std::unique_ptr<TemporaryFolder> TrainCommand::shared_;

TEST_F(TrainCommand, TrainsSavesAndSaysWhatMatters) {
  const auto result = train_tiny("whole");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const auto* part : {"dataset ", "mel 45, kl 1, feature 2, adversarial 1", "seed 1234", "step of generator",
                           "overtraining", "checkpoints", "computing", "grad_norm generator", "items/s", "left",
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
  const auto index = testing::load_json(run_folder("straight") / "checkpoints/index.json");
  const auto last = index["checkpoints"].back()["folder"].get<std::string>();
  for (const auto* file : {"model.safetensors", "discriminator.safetensors", "optimizer.safetensors", "state.json"}) {
    EXPECT_EQ(read_file(run_folder("straight") / "checkpoints" / last / file),
              read_file(run_folder("halves") / "checkpoints" / last / file))
        << file;
  }
}

TEST_F(TrainCommand, SigtermSavesAndAResumeGoesOn) {
  ProgramRun run(folder(),
                 words({"--dataset", "mara", "--config", "tiny.toml", "--name", "stopped", "--epochs", "500"}));
  ASSERT_TRUE(run.wait_until_it_says("held-out")) << run.err();
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

TEST_F(TrainCommand, StartsFromWeightsAndRefusesThoseOfAnotherArchitecture) {
  ASSERT_EQ(train_tiny("base", {"--epochs", "1"}).exit_code, 0);
  const auto index = testing::load_json(run_folder("base") / "checkpoints/index.json");
  const auto weights =
      run_folder("base") / "checkpoints" / index["checkpoints"][0]["folder"].get<std::string>() / "model.safetensors";
  const auto tuned = train_tiny("tuned", {"--epochs", "1", "--from", weights.string()});
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  const auto other = train_tiny("other", {"--from", weights.string(), "--set", "model.hidden_channels=24"});
  EXPECT_EQ(other.exit_code, 3);
  EXPECT_THAT(other.err, StartsWith("melisma: checkpoint: '" + weights.string() + "' does not fit the model: "));
  EXPECT_TRUE(run_folder("other").empty()) << "nothing is made before the checks have passed";

  const auto cut = folder() / "cut.safetensors";
  fs::copy_file(weights, cut);
  fs::resize_file(cut, fs::file_size(cut) / 2);
  const auto truncated = train_tiny("cut", {"--from", cut.string()});
  EXPECT_EQ(truncated.exit_code, 3);
  EXPECT_THAT(truncated.err, HasSubstr("cut.safetensors"));
  EXPECT_THAT(truncated.err, StartsWith("melisma: checkpoint: "));

  const auto absent = train_tiny("absent", {"--from", "nowhere.pth"});
  EXPECT_EQ(absent.exit_code, 3);
  EXPECT_THAT(absent.err, HasSubstr("nowhere.pth"));
}

TEST_F(TrainCommand, ADamagedCheckpointIsNamedAndNothingStartsAnew) {
  ASSERT_EQ(train_tiny("hurt", {"--epochs", "1"}).exit_code, 0);
  const auto index = testing::load_json(run_folder("hurt") / "checkpoints/index.json");
  const auto file =
      run_folder("hurt") / "checkpoints" / index["checkpoints"][0]["folder"].get<std::string>() / "model.safetensors";
  const auto bytes = fs::file_size(file);
  fs::resize_file(file, 1000);
  expect_error(train({"--resume", "hurt", "--epochs", "2"}), 3,
               "checkpoint: '" + fs::canonical(file).string() + "' is damaged: it has 1000 bytes, expected " +
                   std::to_string(bytes) +
                   "; nothing was changed. Name another checkpoint (--resume-epoch K when training, --epoch K when "
                   "extracting), or restore this one from a copy (while training run " +
                   run_folder("hurt").filename().string() + ")");
}

TEST_F(TrainCommand, AResumeKeepsTheSettingsOfTheRun) {
  ASSERT_EQ(train_tiny("kept", {"--epochs", "1"}).exit_code, 0);
  expect_error(train({"--resume", "kept", "--set", "losses.mel=1"}), 2,
               "config: a resumed run keeps its settings: losses.mel is 45.0 in the run and cannot become 1.0; start "
               "another run with --name");
  expect_error(train({"--resume", "kept", "--from", "x"}), 2,
               "usage: --resume takes settings and weights from the run; leave out --from");
  expect_error(train_tiny("kept", {"--epochs", "1"}), 2,
               "usage: run '" + run_folder("kept").filename().string() +
                   "' is there already; go on with it by --resume, or choose another --name");
}

TEST_F(TrainCommand, TyposAreAnsweredWithTheNearestName) {
  expect_error(testing::run_program(folder(), {"train", "rcv", "--dataset", "mara"}), 2,
               "usage: unknown recipe 'rcv'; did you mean 'rvc'? known: rvc");
  expect_error(train_tiny("x", {"--set", "trainer.epocs=3"}), 2,
               "config: --set trainer.epocs=3: unknown key 'trainer.epocs'; did you mean 'trainer.epochs'?");
  EXPECT_THAT(train({"--dataset", "maara"}).err,
              StartsWith("melisma: data: unknown dataset 'maara'; did you mean 'mara'? known: "));
  EXPECT_THAT(train({"--resume", "halve"}).err, HasSubstr("unknown run 'halve'"));
  EXPECT_EQ(train({}).err, "melisma: usage: --dataset is needed to start a run (or --resume to go on with one)\n");
}

TEST_F(TrainCommand, ADatasetThatDoesNotFitIsRefusedBeforeTheFirstStep) {
  constexpr auto validation = Split::validation, test = Split::test;
  const auto path = [](const std::string& name) {
    return fs::canonical(folder() / "melisma-workspace/datasets" / (name + ".h5")).string();
  };
  write_plain_dataset("slow", 32000, {Split::train, validation, test});
  expect_error(train({"--dataset", "slow"}), 3,
               "data: '" + path("slow") +
                   "' is at 32000 Hz but the model at 40000 Hz; choose a preset of that rate or prepare again");
  write_plain_dataset("bare", 40000, {Split::train, validation, test});
  const auto bare = train({"--dataset", "bare"});
  EXPECT_EQ(bare.exit_code, 3);
  EXPECT_THAT(bare.err, StartsWith("melisma: data: '" + path("bare") + "' has no content features {"));
  EXPECT_THAT(bare.err, HasSubstr("it has: none"));
  write_plain_dataset("unheld", 40000, {Split::train, Split::train, test});
  expect_error(
      train({"--dataset", "unheld"}), 3,
      "data: '" + path("unheld") +
          "' has no clips in its validation split: expected at least one, found 2 train, 0 validation, 1 test; "
          "prepare more recordings, or other shares of the split");
  write_plain_dataset("leaky", 40000, {Split::train, validation}, /*is_same_sound=*/true);
  expect_error(train({"--dataset", "leaky"}), 3,
               "data: '" + path("leaky") +
                   "' is not held out: clip 1 of '1.wav' (validation split) has the same sound as clip 0 of '0.wav' "
                   "(train split); prepare the dataset again");
}

TEST_F(TrainCommand, AFolderThatCannotBeWrittenIsNamed) {
  const auto dataset = (folder() / "melisma-workspace/datasets/mara.h5").string();
  fs::create_directories(folder() / "blocked");
  write_file_atomically(folder() / "blocked/runs", "a file where the folder should be");
  const auto result = train({"--dataset", dataset, "--config", "tiny.toml", "--workspace", "blocked"});
  expect_error(result, 5, "device: cannot make the folder 'blocked/runs': Not a directory; name another --workspace");
}

TEST_F(TrainCommand, AFullDiskIsFoundBeforeTheFirstStep) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can mount a small disk";
  const auto disk = folder() / "disk";
  fs::create_directories(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "mounting is not allowed here";
  const auto dataset = (folder() / "melisma-workspace/datasets/mara.h5").string();
  const auto result = train({"--dataset", dataset, "--config", "tiny.toml", "--workspace", disk.string()});
  ::umount(disk.c_str());
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err, HasSubstr("not enough room for checkpoints in '" + disk.string() + "': "));
  EXPECT_THAT(result.err, HasSubstr("(2 kept and one being written, "));
}

}  // namespace
}  // namespace melisma
