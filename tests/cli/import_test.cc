// `melisma import` as a person runs it: an experiment folder of Applio becomes a dataset and a run that trains on, and
// the run goes back to Applio.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "data/sets/dataset.h"
#include "tests/cli/tiny_voice.h"
#include "tests/train/import/experiment.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using Words = std::vector<std::string>;

// Sizes of Applio's 40 kHz voices, widths of a toy.
constexpr const char* kToyOfApplio = R"(preset = "v2-40k"
[model]
inter_channels = 8
hidden_channels = 8
filter_channels = 8
n_heads = 1
n_layers = 1
posterior_layers = 1
speaker_channels = 8
speakers = 2
segment_frames = 12
upsample_initial_channels = 16
resblock_kernels = [3]
[discriminator]
version = "v1"
scale_divisor = 16
period_divisor = 32
[generator_optimizer]
lr = 2e-4
lr_decay = 0.9
[discriminator_optimizer]
lr = 2e-4
lr_decay = 0.9
[content]
method = "hubert"
[pitch]
method = "imported"
[data]
batch_size = 4
[validation]
clips = 1
samples = 0
)";

// One workspace in which the voice "applio" was trained for two epochs on the slices of logs/voice, and its checkpoints
// put beside them as Applio would.
class ImportCommand : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<testing::TemporaryFolder>();
    testing::write_applio_experiment(experiment(), 8);
    ASSERT_EQ(run({"import", experiment(), "--name", "slices"}).exit_code, 0);
    write_file_atomically(folder() / "toy.toml", kToyOfApplio);
    const auto trained =
        run({"train", "rvc", "--dataset", "slices", "--config", "toy.toml", "--name", "applio", "--epochs", "2"});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const auto extracted = run({"extract", "applio", "--format", "applio-checkpoint", "-o", experiment().string()});
    ASSERT_EQ(extracted.exit_code, 0) << extracted.err;
  }
  static void TearDownTestSuite() { shared_.reset(); }

  static const fs::path& folder() { return shared_->path(); }
  static fs::path experiment() { return folder() / "logs/voice"; }
  static ProgramResult run(const Words& words) { return testing::run_program(folder(), words); }
  static nlohmann::json imported(const Words& more, int exit_code = 0) {
    Words words{"import", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    return nlohmann::json::parse(result.out, nullptr, false);
  }
  static fs::path run_folder(const std::string& name) {
    for (const auto& item : fs::directory_iterator(folder() / "melisma-workspace/runs")) {
      if (item.path().filename().string().starts_with(name + "-")) return item.path();
    }
    return {};
  }
  static fs::path checkpoint(const std::string& name, std::size_t from_last = 0) {
    const auto all = testing::load_json(run_folder(name) / "checkpoints/index.json")["checkpoints"];
    return run_folder(name) / "checkpoints" / all[all.size() - 1 - from_last]["folder"].get<std::string>();
  }
  // A copy of the experiment that a test may damage.
  [[nodiscard]] fs::path copy() const {
    fs::copy(experiment(), own_ / "voice", fs::copy_options::recursive);
    return own_ / "voice";
  }
  static std::string generator_in(const fs::path& experiment) {
    for (const auto& item : fs::directory_iterator(experiment)) {
      const auto name = item.path().filename().string();
      if (name.starts_with("G_")) return name;
    }
    return {};
  }
  testing::TemporaryFolder own_;

 private:
  static inline std::unique_ptr<testing::TemporaryFolder> shared_;
};

TEST_F(ImportCommand, ARunTrainsOnAsIfItHadNeverLeft) {
  const auto json = imported({experiment(), "--name", "back"});
  EXPECT_EQ(json["run"]["epoch"], 2);
  EXPECT_EQ(json["run"]["optimizer_state"], true);
  EXPECT_EQ(json["fillers_left_out"], 2);
  for (const auto* file : {"model.safetensors", "discriminator.safetensors", "optimizer.safetensors"}) {
    const auto ours = testing::GoldenFile::load(checkpoint("applio") / file);
    const auto back = testing::GoldenFile::load(checkpoint("back") / file);
    ASSERT_EQ(back.tensors.size(), ours.tensors.size());
    for (const auto& [name, tensor] : ours.tensors) EXPECT_EQ(back.at(name).values, tensor.values) << name;
  }
  ASSERT_EQ(run({"train", "rvc", "--resume", "applio", "--epochs", "3"}).exit_code, 0);
  const auto resumed = run({"train", "rvc", "--resume", "back", "--epochs", "3"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, AllOf(HasSubstr("after 2 epochs"), HasSubstr("not of unheard recordings"),
                                 HasSubstr("lr 0.0002 x 0.9 an epoch")));
  for (const auto* file : {"model.safetensors", "discriminator.safetensors", "optimizer.safetensors"}) {
    const auto ours = testing::GoldenFile::load(checkpoint("applio") / file);
    const auto back = testing::GoldenFile::load(checkpoint("back") / file);
    for (const auto& [name, tensor] : ours.tensors) EXPECT_EQ(back.at(name).values, tensor.values) << name;
  }
}

TEST_F(ImportCommand, SaysWhatTheNumbersOfTheRunAreNot) {
  const auto result = run({"import", experiment().string(), "--name", "honest"});
  EXPECT_THAT(
      result.out,
      AllOf(HasSubstr("held out: the tool trained on all of these slices"), HasSubstr("2 silent fillers (mute)"),
            HasSubstr("train rvc --resume honest --epochs 102"), HasSubstr("with optimizer state")));
  const auto manifest = testing::load_json(run_folder("honest") / "manifest.json")["imported"];
  EXPECT_EQ(manifest["trained_on_this_dataset"], true);
  EXPECT_EQ(manifest["tool"], "applio");
  EXPECT_EQ(manifest["generator"]["sha256"].get<std::string>().size(), 64U);
  const auto evaluated = run({"evaluate", "honest", "--dataset", "honest", "--split", "validation"});
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.err, HasSubstr("scores on them are not of unheard recordings"));
}

TEST_F(ImportCommand, WithoutACheckpointOnlyTheDatasetIsMade) {
  const auto experiment = copy();
  fs::remove(experiment / generator_in(experiment));
  const auto result = run({"import", experiment.string(), "--name", "sounds"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("no run: the folder has no G_*.pth"),
                                HasSubstr("train rvc --dataset sounds --set pitch.method=imported")));
  EXPECT_EQ(Dataset::open(folder() / "melisma-workspace/datasets/sounds.h5").clips().size(), 16U);
  EXPECT_EQ(run_folder("sounds"), fs::path());
}

TEST_F(ImportCommand, WithoutSlicesTheWeightsAreNamed) {
  const auto experiment = copy();
  fs::remove_all(experiment / "sliced_audios");
  const auto result = run({"import", experiment.string(), "--name", "weights"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("has checkpoints but no slices"), HasSubstr("train rvc --dataset NAME --from '")));
}

TEST_F(ImportCommand, DamagedPartsAreNamedAndTheRestIsImported) {
  const auto experiment = copy();
  const auto generator = experiment / generator_in(experiment);
  fs::copy_file(generator, experiment / "G_2333333.pth");
  fs::resize_file(experiment / "G_2333333.pth", fs::file_size(generator) / 2);
  fs::resize_file(experiment / "extracted/0_3_1.npy", 3000);
  const auto json = imported({experiment, "--name", "damaged"}, 3);
  EXPECT_EQ(json["run"]["generator"], generator.string());
  EXPECT_THAT(json["problems"].dump(), HasSubstr("G_2333333.pth"));
  EXPECT_EQ(json["dataset"]["fates"], nlohmann::json({{"kept", 15}, {"unreadable", 1}}));

  write_file_atomically(experiment / "config.json", R"({"train": {}, "data": {"sample_rate": "forty"}})");
  const auto odd = imported({experiment, "--name", "odd"}, 3);
  EXPECT_EQ(odd["run"], nullptr);
  EXPECT_THAT(odd["problems"].dump(), HasSubstr("it has no section 'model'"));
  fs::remove(experiment / ("D" + generator.filename().string().substr(1)));
  const auto alone = imported({experiment, "--name", "alone"}, 3);
  EXPECT_THAT(alone["problems"].dump(), HasSubstr("has no D file beside it"));
}

TEST_F(ImportCommand, AConfigurationOfAnotherVoiceIsRefused) {
  const auto experiment = copy();
  auto config = testing::load_json(experiment / "config.json");
  config["model"]["hidden_channels"] = 16;
  write_file_atomically(experiment / "config.json", config.dump());
  const auto json = imported({experiment, "--name", "other"}, 3);
  EXPECT_THAT(json["problems"].dump(), HasSubstr("it is not the configuration of the G file"));
}

TEST_F(ImportCommand, ATakenNameIsKept) {
  const auto result = run({"import", experiment().string(), "--name", "slices"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("choose another --name, or replace it with --force"));
}

TEST_F(ImportCommand, AnImportedVoiceAsksForTheWeightsThatMadeItsFeatures) {
  const auto result = run({"convert", "applio", (experiment() / "sliced_audios/0_0_0.wav").string(), "-o", "out.wav"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("looking for 'contentvec', which made the imported content features"));
}

}  // namespace
}  // namespace melisma
