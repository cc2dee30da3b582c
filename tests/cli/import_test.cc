// `melisma import` as a person runs it: an experiment folder of Applio becomes a dataset and a run that trains on, and
// the run goes back to Applio.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
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

// The tiny voice on slices with features of a tool, trained as its config.json can say.
std::string toy_of_applio() {
  return testing::tiny_voice_with({{"method = \"yin\"", "method = \"imported\""}, {"max_frames = 100\n", ""}},
                                  R"([generator_optimizer]
lr = 2e-4
lr_decay = 0.9
[discriminator_optimizer]
lr = 2e-4
lr_decay = 0.9
[content]
method = "hubert"
)");
}

// One workspace in which the voice "applio" was trained for two epochs on the slices of logs/voice, and its checkpoints
// put beside them as Applio would.
class ImportCommand : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<testing::TemporaryFolder>();
    testing::write_applio_experiment(experiment(), 8);
    ASSERT_EQ(run({"import", experiment(), "--name", "slices"}).exit_code, 0);
    write_file_atomically(folder() / "toy.toml", toy_of_applio());
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
  // Weights and moments of the last checkpoints, bit for bit.
  static void expect_same_state(const std::string& run, const std::string& other) {
    for (const auto* file : {"model.safetensors", "discriminator.safetensors", "optimizer.safetensors"}) {
      const auto found = testing::GoldenFile::load(checkpoint(run) / file);
      const auto expected = testing::GoldenFile::load(checkpoint(other) / file);
      ASSERT_EQ(found.tensors.size(), expected.tensors.size());
      for (const auto& [name, tensor] : expected.tensors) EXPECT_EQ(found.at(name).values, tensor.values) << name;
    }
  }
  static Dataset dataset(const std::string& name) {
    return Dataset::open(folder() / "melisma-workspace/datasets" / (name + ".h5"));
  }
  static void expect_same_clips(const std::string& name, const std::string& other) {
    const auto found = dataset(name), expected = dataset(other);
    ASSERT_EQ(found.clips().size(), expected.clips().size());
    ASSERT_EQ(found.feature_sets().size(), 2U);
    for (std::size_t i = 0; i < found.clips().size(); ++i) {
      const auto &clip = found.clips()[i], &same = expected.clips()[i];
      EXPECT_EQ(clip.split, same.split) << i;
      EXPECT_EQ(clip.speaker, same.speaker) << i;
      EXPECT_EQ(found.wave(clip), expected.wave(same)) << i;
      for (const auto& key : found.feature_sets()) {
        EXPECT_EQ(found.feature_rows(key, clip).values, expected.feature_rows(key, same).values) << i << key.kind;
      }
    }
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
  expect_same_state("back", "applio");
  ASSERT_EQ(run({"train", "rvc", "--resume", "applio", "--epochs", "3"}).exit_code, 0);
  const auto resumed = run({"train", "rvc", "--resume", "back", "--epochs", "3"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, AllOf(HasSubstr("after 2 epochs"), HasSubstr("not of unheard recordings"),
                                 HasSubstr("lr 0.0002 x 0.9 an epoch")));
  expect_same_state("back", "applio");
}

// The files keep waves, curves and features as floats of their full width: nothing is lost but names of recordings.
TEST_F(ImportCommand, AWholeExperimentWrittenHereComesBackAndTrainsOnBitForBit) {
  nlohmann::json written;
  for (const std::string tool : {"applio", "webui"}) {
    const auto place = (own_ / tool).string(), format = tool + "-experiment";
    const auto extracted = run({"extract", "applio", "--epoch", "last", "--format", format, "-o", place, "--json"});
    ASSERT_EQ(extracted.exit_code, 0) << extracted.err;
    written = nlohmann::json::parse(extracted.out);
    EXPECT_EQ(written["slices"].get<int>() + written["held_out_slices"].get<int>(), 16);
    EXPECT_GT(written["held_out_slices"], 1);
    const auto json = imported({place, "--name", "from-" + tool});
    EXPECT_EQ(json["tool"], tool);
    EXPECT_EQ(json["run"]["caveat"], "");  // what was held out here stayed so
    expect_same_clips("from-" + tool, "slices");
    expect_same_state("from-" + tool, "applio");
  }
  const auto next = std::to_string(written["epoch"].get<int>() + 1);
  for (const std::string name : {"applio", "from-applio", "from-webui"}) {
    const auto resumed = run({"train", "rvc", "--resume", name, "--epochs", next});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  }
  expect_same_state("from-applio", "applio");
  expect_same_state("from-webui", "applio");
}

TEST_F(ImportCommand, AToolFindsOfAnExperimentWhatItMayTrainOn) {
  const auto place = own_ / "voice";
  const auto result = run({"extract", "applio", "--format", "applio-experiment", "-o", place.string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("10 slices of 12 s"), HasSubstr("6 held-out ones in held_out"),
                                HasSubstr("Applio trains on from epoch ")));
  for (const auto* part : {"sliced_audios", "sliced_audios_16k", "f0", "f0_voiced", "extracted"}) {
    EXPECT_EQ(std::distance(fs::directory_iterator(place / part), {}), 10) << part;
  }
  const auto list = read_file(place / "filelist.txt");
  EXPECT_EQ(std::count(list.begin(), list.end(), '\n'), 10);
  EXPECT_THAT(list, HasSubstr("logs/voice/sliced_audios/0_0_1.wav|logs/voice/extracted/0_0_1.npy|"
                              "logs/voice/f0/0_0_1.wav.npy|logs/voice/f0_voiced/0_0_1.wav.npy|0\n"));
  const auto at_16k = read_audio_mono(place / "sliced_audios_16k/0_0_1.wav");
  EXPECT_EQ(at_16k.sample_rate_hz, 16000);
  EXPECT_EQ(at_16k.n_frames(), 19200);
  const auto info = testing::load_json(place / "model_info.json");
  EXPECT_EQ(info["embedder_model"], "contentvec");
  EXPECT_EQ(info["speakers_id"], 1);
  EXPECT_NEAR(info["total_seconds"].get<double>(), 12.0, 1e-9);
  EXPECT_EQ(info["total_dataset_duration"], "00:00:12");

  EXPECT_THAT(run({"extract", "applio", "--format", "webui-experiment", "-o", place.string()}).err,
              HasSubstr("an experiment is written to a new folder"));
  const auto g = (place / generator_in(place)).string();
  EXPECT_THAT(run({"extract", g, "--format", "webui-experiment", "-o", (own_ / "w").string()}).err,
              HasSubstr("is no run: an experiment is made of a run and its dataset"));
}

TEST_F(ImportCommand, WhatAToolHasHeardStaysHeardOnTheWayBack) {
  ASSERT_EQ(run({"import", experiment().string(), "--name", "heard"}).exit_code, 0);
  const auto place = (own_ / "heard").string();
  const auto extracted = run({"extract", "heard", "--format", "webui-experiment", "-o", place});
  ASSERT_EQ(extracted.exit_code, 0) << extracted.err;
  const auto json = imported({place, "--name", "heard-twice"});
  EXPECT_THAT(json["run"]["caveat"].get<std::string>(), HasSubstr("the tool trained on all of these slices"));
  write_file_atomically(fs::path(place) / "held_out/held_out.json", "{}");
  EXPECT_THAT(run({"import", place, "--name", "unclear"}).err, HasSubstr("does not say what melisma extract writes"));
}

// A training of another vocoder goes to Applio's files and comes back.
TEST_F(ImportCommand, OtherVocodersComeBackToo) {
  const std::map<std::string, Words> settings{
      {"mrf", {"--set", "model.vocoder=mrf"}},
      {"refinegan",
       {"--set", "model.vocoder=refinegan", "--set", "model.upsample_initial_channels=32", "--set",
        "discriminator.version=v3"}}};
  for (const auto& [vocoder, chosen] : settings) {
    Words words{"train", "rvc", "--dataset", "slices", "--config", "toy.toml", "--name", vocoder, "--epochs", "1"};
    words.insert(words.end(), chosen.begin(), chosen.end());
    ASSERT_EQ(run(words).exit_code, 0);
    const auto place = own_ / vocoder;
    const auto extracted = run({"extract", vocoder, "--format", "applio-experiment", "-o", place.string()});
    ASSERT_EQ(extracted.exit_code, 0) << extracted.err;
    const auto json = imported({place, "--name", vocoder + "-back"});
    EXPECT_EQ(json["problems"], nlohmann::json::array());
    expect_same_state(vocoder + "-back", vocoder);
    if (vocoder == "refinegan") continue;  // ten times as slow, and goes on the same way
    for (const auto& name : {vocoder, vocoder + "-back"}) {
      const auto resumed = run({"train", "rvc", "--resume", name, "--epochs", "2"});
      ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    }
    expect_same_state(vocoder + "-back", vocoder);
  }
  const auto place = own_ / "refinegan";
  fs::remove(place / "config.json");
  EXPECT_THAT(imported({place, "--name", "unknown-rate"}, 3)["problems"].dump(),
              HasSubstr("Put the config.json of its experiment beside it, or give --sample-rate"));
  EXPECT_EQ(imported({place, "--name", "told-rate", "--sample-rate", "40000"})["run"]["epoch"], 1);
  const auto g = (place / generator_in(place)).string();
  EXPECT_THAT(run({"inspect", g}).err, HasSubstr("do not tell 24 from 32 kHz, nor 40 from 48"));
  const auto voice = run({"extract", g, "--sample-rate", "48000", "-o", (own_ / "v.safetensors").string(), "--json"});
  EXPECT_EQ(nlohmann::json::parse(voice.out)["sample_rate_hz"], 48000) << voice.err;
}

// What a tool reads of an experiment, with NumPy, and its pitch bins by the tools' own formula.
constexpr const char* kReadWithNumPy = R"(
import sys, numpy as np
root = sys.argv[1]
lines = [line.strip().split("|") for line in open(root + "/filelist.txt")]
assert len(lines) == 10, len(lines)
for wave, content, coarse, f0, speaker in lines:
    content, coarse, f0 = (np.load(path.replace("logs/voice", root)) for path in (content, coarse, f0))
    assert content.dtype == np.float32 and content.shape == (60, 768), (content.dtype, content.shape)
    assert f0.dtype == np.float64 and f0.shape == coarse.shape == (121,), f0.shape
    mel = 1127 * np.log(1 + f0 / 700)
    low, high = 1127 * np.log(1 + 50 / 700), 1127 * np.log(1 + 1100 / 700)
    mel[mel > 0] = (mel[mel > 0] - low) * 254 / (high - low) + 1
    assert (coarse == np.rint(np.clip(mel, 1, 255)).astype(int)).all()
    assert (f0 == 0).any() and (f0 > 90).any() and speaker == "0"
)";

class SlowExperimentExchange : public ImportCommand {};

TEST_F(SlowExperimentExchange, NumPyReadsTheFeaturesOfAWrittenExperiment) {
  if (std::system("python3 -c 'import numpy' 2>/dev/null") != 0) GTEST_SKIP() << "no NumPy for Python";
  write_file_atomically(own_ / "read.py", kReadWithNumPy);
  for (const std::string tool : {"applio", "webui"}) {
    const auto place = own_ / tool / "voice";
    const auto extracted = run({"extract", "applio", "--format", tool + "-experiment", "-o", place.string()});
    ASSERT_EQ(extracted.exit_code, 0) << extracted.err;
    const auto command = "python3 " + (own_ / "read.py").string() + " " + place.string();
    EXPECT_EQ(std::system(command.c_str()), 0);
  }
}

TEST_F(ImportCommand, ABaseOfV1IsNoneForFeaturesOfV2) {
  const testing::ToolFolders folders{own_ / "v1/0_gt_wavs", own_ / "v1/2b-f0nsf", own_ / "v1/3_feature256", 40000, 256};
  for (std::uint32_t i = 0; i < 5; ++i) folders.write(std::to_string(i) + "_0", i, 1.2);
  ASSERT_EQ(run({"import", (own_ / "v1").string(), "--name", "v1"}).exit_code, 0);
  const auto base = run({"train", "rvc", "--dataset", "v1", "--config", "toy.toml", "--name", "v1", "--epochs", "1",
                         "--set", "content.hubert.output=v1"});
  ASSERT_EQ(base.exit_code, 0) << base.err;
  const auto tuned = run({"train", "rvc", "--dataset", "slices", "--config", "toy.toml", "--name", "tuned", "--from",
                          (checkpoint("v1") / "model.safetensors").string()});
  EXPECT_EQ(tuned.exit_code, 3);
  EXPECT_THAT(tuned.err, HasSubstr("does not fit the model: content_channels is 256 in the file but 768 in the model"));
}

TEST_F(ImportCommand, SaysWhatTheNumbersOfTheRunAreNot) {
  const auto result = run({"import", experiment().string(), "--name", "honest"});
  EXPECT_THAT(
      result.out,
      AllOf(HasSubstr("held out: the tool trained on all of these slices"), HasSubstr("2 silent fillers (mute)"),
            HasSubstr("train rvc --resume honest --epochs 102"), HasSubstr("with optimizer state")));
  const auto manifest = testing::load_json(run_folder("honest") / "manifest.json")["imported"];
  EXPECT_THAT(manifest["held_out_caveat"].get<std::string>(), HasSubstr("the tool trained on all of these slices"));
  EXPECT_EQ(manifest["tool"], "applio");
  EXPECT_EQ(manifest["generator"]["sha256"].get<std::string>().size(), 64U);
  const auto evaluated = run({"evaluate", "honest", "--dataset", "honest", "--split", "validation"});
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.err, HasSubstr("held-out scores of this run are not of unheard recordings"));
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
