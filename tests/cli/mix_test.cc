// `melisma train mix` and `melisma mix` as people run them: the real program, a tiny model, songs that are rendered.
#include <algorithm>
#include <cmath>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "data/sets/dataset_writer.h"
#include "tests/cli/training.h"
#include "tools/base/seed.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using testing::load_json;

constexpr std::int64_t kCliMixRate = 44100, kCliMixFrames = 60000;

Waveform rendered_stem(std::uint64_t seed, double hz, double loud, std::int64_t channels = 1) {
  RandomSource random(seed);
  Waveform wave{std::vector<float>(static_cast<std::size_t>(channels * kCliMixFrames)), channels, kCliMixRate};
  for (std::size_t i = 0; i < wave.samples.size(); ++i) {
    const auto t = static_cast<double>(i % kCliMixFrames) / kCliMixRate;
    wave.samples[i] = static_cast<float>(loud * (std::sin(6.283185307 * hz * t) + .3 * (2 * random.uniform() - 1)));
  }
  return wave;
}

// Songs of a voice and a bass, mixed by rule; the last one is held out.
void write_song_dataset(const fs::path& path) {
  DatasetPlan plan;
  plan.sample_rate_hz = kCliMixRate;
  plan.parameters = R"({"kind":"multitrack"})";
  plan.tool_version = "0";
  for (int i = 0; i < 3; ++i) {
    const auto name = "song" + std::to_string(i);
    plan.songs.push_back(
        {.name = name,
         .split = i < 2 ? Split::train : Split::validation,
         .tracks = {{.name = "bass", .recording = name + "/bass.wav", .length = kCliMixFrames},
                    {.name = "voice", .recording = name + "/voice.wav", .length = kCliMixFrames}},
         .mix = Track{.name = "mix", .recording = name + "/mix.wav", .n_channels = 2, .length = kCliMixFrames}});
  }
  auto songs = plan.songs;
  number_songs(songs);
  fs::create_directories(path.parent_path());
  write_dataset(path, plan, [&](DatasetWriter& writer) {
    for (std::size_t i = 0; i < songs.size(); ++i) {
      const auto bass = rendered_stem(2 * i, 80, .2), voice = rendered_stem(2 * i + 1, 500, .1);
      Waveform mix{std::vector<float>(2 * kCliMixFrames), 2, kCliMixRate};
      for (std::size_t k = 0; k < mix.samples.size(); ++k) {
        mix.samples[k] = bass.samples[k % kCliMixFrames] + 2 * voice.samples[k % kCliMixFrames];
      }
      writer.write_track(songs[i].tracks[0], bass);
      writer.write_track(songs[i].tracks[1], voice);
      writer.write_track(*songs[i].mix, mix);
    }
  });
}

// One workspace for all tests: the dataset "songs", a run "small" of one epoch, and stems.
class MixCommand : public ::testing::Test {
 protected:
  using Words = std::vector<std::string>;
  static void SetUpTestSuite() {
    shared_ = std::make_unique<testing::TemporaryFolder>();
    write_song_dataset(folder() / "melisma-workspace/datasets/songs.h5");
    write_audio(folder() / "vocals.wav", rendered_stem(11, 500, .1), "wav32f");
    write_audio(folder() / "keys.wav", rendered_stem(12, 900, .2, 2), "wav32f");
    write_audio(folder() / "song.wav", rendered_stem(13, 200, .4, 2), "wav32f");
    const auto trained = train({"--dataset", "songs", "--name", "small", "--epochs", "1"});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    trained_ = trained.err;
  }
  static void TearDownTestSuite() { shared_.reset(); }
  static const fs::path& folder() { return shared_->path(); }
  static testing::ProgramResult train(const Words& more) {
    Words words{"train", "mix"};
    if (std::ranges::find(more, "--resume") == more.end()) {
      words.insert(words.end(),
                   {"--config", (testing::source_folder() / "experiments/configs/mix/tiny.toml").string()});
    }
    words.insert(words.end(), more.begin(), more.end());
    return testing::run_program(folder(), words);
  }
  static testing::ProgramResult mix(const Words& more) {
    Words words{"mix", "vocals.wav", "keys.wav"};
    words.insert(words.end(), more.begin(), more.end());
    return testing::run_program(folder(), words);
  }
  static void expect_refusal(const testing::ProgramResult& result, int exit_code, const std::string& what) {
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_THAT(result.err, HasSubstr(what));
    EXPECT_THAT(result.err, HasSubstr("melisma: "));
  }
  static inline std::unique_ptr<testing::TemporaryFolder> shared_;
  static inline std::string trained_;
};

TEST_F(MixCommand, TrainingSaysWhatMattersAndGoesOn) {
  for (const auto* part :
       {"train 2 songs", "sum_difference 1", "held-out mix_loss", "transformer, 44100 Hz", "next: melisma mix"}) {
    EXPECT_THAT(trained_, HasSubstr(part));
  }
  const auto resumed = train({"--resume", "small", "--epochs", "2"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("2 epochs are trained, 1 of them now"));
}

TEST_F(MixCommand, ARunMixesAndTheSheetSaysHow) {
  const auto result = mix({"--model", "small", "--reference", "song.wav", "--set", "vocals.fader_db=-6", "--set",
                           "keys.fader_db+=1", "--sheet", "sheet.json", "-o", "mixed.wav"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("mixed.wav: 2 stems"));
  EXPECT_THAT(result.out, ContainsRegex("fader_db .* -6 "));
  const auto wave = read_audio(folder() / "mixed.wav");
  EXPECT_EQ(wave.n_channels, 2);
  EXPECT_EQ(wave.n_frames(), kCliMixFrames);
  const auto sheet = load_json(folder() / "sheet.json");
  EXPECT_EQ(sheet["tracks"]["vocals"]["fader_db"], -6);
  EXPECT_TRUE(sheet["tracks"].contains("keys.left") && sheet["tracks"].contains("keys.right"));
  const auto again = mix({"--model", "small", "--reference", "song.wav", "--set", "vocals.fader_db=-6", "--set",
                          "keys.fader_db+=1", "-o", "again.wav"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_EQ(read_file(folder() / "mixed.wav"), read_file(folder() / "again.wav"));
}

TEST_F(MixCommand, WithoutAModelStemsAreEquallyLoudAndTheMixAsLoudAsAsked) {
  const auto result = mix({"--loudness", "-20", "--json", "-o", "plain.wav", "--format", "wav32f"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto report = nlohmann::json::parse(result.out);
  EXPECT_NEAR(report["lufs"].get<double>(), -20, .01);
  EXPECT_EQ(report["channels"], 3);
  EXPECT_EQ(report["sheet"]["tracks"]["keys.left"]["pan"], 0);
  EXPECT_GT(report["sheet"]["tracks"]["vocals"]["fader_db"].get<double>(),
            report["sheet"]["tracks"]["keys.left"]["fader_db"].get<double>());
}

TEST_F(MixCommand, OptimisingComesNearerToTheReference) {
  const auto result =
      mix({"--reference", "song.wav", "--optimize", "reference", "--steps", "3", "--json", "-o", "near.wav"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto found = nlohmann::json::parse(result.out)["optimised"];
  EXPECT_LT(found["loss"].get<double>(), found["loss_before"].get<double>());
}

TEST_F(MixCommand, SaysExactlyWhatIsWrong) {
  expect_refusal(mix({"--set", "vocls.fader_db=1", "-o", "x.wav"}), 2, "did you mean 'vocals'");
  expect_refusal(mix({"--set", "vocals.fader_db=99", "-o", "x.wav"}), 2, "-48 to 48");
  expect_refusal(mix({"--optimize", "reference", "-o", "x.wav"}), 2, "--reference");
  expect_refusal(mix({"--optimize", "referense", "--reference", "song.wav", "-o", "x.wav"}), 2,
                 "did you mean 'reference'");
  expect_refusal(mix({"-o", "vocals.wav"}), 2, "is one of the stems");
  expect_refusal(mix({"--model", "nobody", "-o", "x.wav"}), 2, "nobody");
  expect_refusal(testing::run_program(folder(), {"mix", "absent.wav", "-o", "x.wav"}), 3, "absent.wav");
  expect_refusal(train({"--dataset", "songs", "--set", "model.sample_rate_hz=48000"}), 3, "48000");
  EXPECT_FALSE(fs::exists(folder() / "x.wav"));
}

}  // namespace
}  // namespace melisma
