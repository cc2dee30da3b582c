// Preparation as a function: fates, speakers, splits, features, and the same bytes whatever the threads and
// interruptions.
#include "train/prepare/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <set>

#include "data/audio/audio_writer.h"
#include "data/audio/resample.h"
#include "tests/data/sets/pseudo_speech.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "train/prepare/cut_recording.h"
#include "train/prepare/report.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::pseudo_speech;
using testing::TemporaryFolder;

class QuietSink final : public EventSink {
 public:
  void receive(const Event& event) override {
    if (const auto* message = std::get_if<MessageEvent>(&event)) said += message->text + "\n";
    if (on_event) on_event(event);
  }
  std::string said;
  std::function<void(const Event&)> on_event;
};

void write_wave(const fs::path& path, std::vector<float> samples, std::int64_t rate_hz = 16000) {
  fs::create_directories(path.parent_path());
  write_audio(path, Waveform{std::move(samples), 1, rate_hz}, path.extension() == ".wav" ? "wav32f" : "ogg");
}

// A feature that says what it was given: the mean square of each frame, and the frame's number.
FeatureMaker power_maker(const std::string& name) {
  return {{"power", "{\"name\":\"" + name + "\"}"},
          2,
          1,
          [](std::span<const std::vector<float>> waves) {
            std::vector<FeatureMatrix> made;
            for (const std::span<const float> wave : waves) {
              made.push_back({{}, std::ssize(wave) / 160, 2});
              for (std::int64_t frame = 0; frame < made.back().n_frames; ++frame) {
                float power = 0;
                for (const float x : wave.subspan(static_cast<std::size_t>(frame * 160), 160)) power += x * x;
                made.back().values.insert(made.back().values.end(), {power, static_cast<float>(frame)});
              }
            }
            return made;
          },
          {}};
}

// Brings the first column to mean 0 over what it was shown.
class CentringNormaliser final : public SpeakerNormaliser {
 public:
  void add(const FeatureMatrix& raw) override {
    for (std::int64_t i = 0; i < raw.n_frames; ++i) sum_ += raw.values[static_cast<std::size_t>(i * raw.width)];
    count_ += static_cast<double>(raw.n_frames);
  }
  [[nodiscard]] FeatureMatrix normalise(const FeatureMatrix& raw) const override {
    auto out = raw;
    for (std::int64_t i = 0; i < raw.n_frames; ++i) {
      out.values[static_cast<std::size_t>(i * raw.width)] -= static_cast<float>(sum_ / count_);
    }
    return out;
  }

 private:
  double sum_ = 0, count_ = 0;
};

struct Workshop {
  TemporaryFolder folder;
  QuietSink sink;
  PrepareRequest request;

  explicit Workshop(const std::string& dataset = "a.h5") {
    request.recordings = folder / "in";
    request.dataset = folder.path() / "datasets" / dataset;
    request.cache = folder / "cache";
    request.tool_version = "test";
    request.threads = 2;
    request.config.sample_rate_hz = 32000;
  }
  void add_two_speakers(int n_each) const {
    for (int i = 0; i < n_each; ++i) {
      const auto seed = static_cast<std::uint32_t>(i);
      write_wave(request.recordings / "alice" / (std::to_string(i) + ".wav"), pseudo_speech(seed, 2.0, 16000));
      write_wave(request.recordings / "bob" / (std::to_string(i) + ".wav"), pseudo_speech(100 + seed, 2.0, 16000));
    }
  }
  PrepareReport run(std::vector<FeatureMaker> makers = {}) { return prepare(request, makers, sink); }
};

const RecordingRow& row(const PrepareReport& report, const std::string& path) {
  for (const auto& candidate : report.recordings) {
    if (candidate.path == path) return candidate;
  }
  throw std::runtime_error("no row " + path);
}

TEST(Prepare, SubFoldersAreSpeakersAndEverySpeakerIsHeldOut) {
  Workshop shop;
  shop.add_two_speakers(5);
  write_wave(shop.request.recordings / "alone.wav", pseudo_speech(50, 2.0, 16000));
  const auto report = shop.run();
  EXPECT_EQ(report.exit_code(), 0);
  const auto dataset = Dataset::open(shop.request.dataset);
  EXPECT_THAT(dataset.speakers(), ElementsAre("alice", "bob", "in"));
  for (const auto split : {Split::train, Split::validation, Split::test}) {
    std::set<std::int64_t> speakers;
    for (const auto& clip : dataset.clips_of(split)) speakers.insert(clip.speaker);
    EXPECT_TRUE(speakers.contains(0) && speakers.contains(1)) << name_of(split);
  }
  std::map<std::string, std::set<Split>> sides;
  for (const auto& clip : dataset.clips()) sides[clip.recording].insert(clip.split);
  for (const auto& [recording, of] : sides) EXPECT_EQ(of.size(), 1u) << recording;
}

TEST(Prepare, EveryFileHasAFate) {
  Workshop shop;
  const auto in = shop.request.recordings;
  for (std::uint32_t i = 0; i < 3; ++i) {
    write_wave(in / ("good" + std::to_string(i) + ".wav"), pseudo_speech(i, 3.0, 16000));
  }
  write_wave(in / "copy.wav", pseudo_speech(1, 3.0, 16000));
  write_wave(in / "silent.wav", std::vector<float>(32000, 0.0F));
  write_wave(in / "blip.wav", std::vector<float>(800, 0.3F));
  auto loud = pseudo_speech(7, 3.0, 16000);
  for (auto& sample : loud) sample = std::clamp(sample * 30, -1.0F, 1.0F);
  write_wave(in / "loud.wav", loud);
  write_file_atomically(in / "text.wav", "this is no audio");
  write_file_atomically(in / "empty.flac", "");
  auto holes = read_file(in / "good0.wav");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  holes.replace(holes.size() - 4000, sizeof nan, reinterpret_cast<const char*>(&nan), sizeof nan);
  write_file_atomically(in / "holes.wav", holes);

  const auto report = shop.run();
  EXPECT_EQ(report.exit_code(), 3);
  EXPECT_EQ(row(report, "good1.wav").fate, "duplicate");
  EXPECT_EQ(row(report, "good1.wav").detail, "the same samples as copy.wav");
  EXPECT_EQ(row(report, "copy.wav").fate, "kept");
  EXPECT_EQ(row(report, "silent.wav").fate, "silent");
  EXPECT_EQ(row(report, "blip.wav").fate, "too_short");
  EXPECT_EQ(row(report, "loud.wav").fate, "clipped");
  EXPECT_GT(row(report, "loud.wav").n_clips, 0);
  EXPECT_EQ(row(report, "text.wav").fate, "unreadable");
  EXPECT_EQ(row(report, "empty.flac").fate, "unreadable");
  EXPECT_EQ(row(report, "holes.wav").fate, "non_finite");
  EXPECT_EQ(Dataset::open(shop.request.dataset).recordings().size(), report.recordings.size());
  EXPECT_THAT(text_of(report), HasSubstr("the same samples as copy.wav"));
}

TEST(Prepare, NothingUsableWritesNoDatasetAndSaysSo) {
  Workshop shop;
  write_wave(shop.request.recordings / "silent.wav", std::vector<float>(32000, 0.0F));
  const auto report = shop.run();
  EXPECT_EQ(report.exit_code(), 3);
  EXPECT_FALSE(fs::exists(shop.request.dataset));
  EXPECT_THAT(text_of(report), HasSubstr("no dataset was written"));
}

TEST(Prepare, BytesAreTheSameForAnyNumberOfThreads) {
  Workshop shop;
  shop.add_two_speakers(4);
  std::vector<std::string> bytes;
  for (const int threads : {1, 2, 5}) {
    shop.request.threads = threads;
    shop.request.cache = shop.folder / ("cache" + std::to_string(threads));
    shop.request.dataset = shop.folder / ("t" + std::to_string(threads) + ".h5");
    auto maker = power_maker("x");
    maker.normaliser = [] { return std::make_unique<CentringNormaliser>(); };
    (void)shop.run({maker});
    bytes.push_back(read_file(shop.request.dataset));
  }
  EXPECT_EQ(bytes[0], bytes[1]);
  EXPECT_EQ(bytes[0], bytes[2]);
}

TEST(Prepare, AStoppedRunContinuesAndEqualsAStraightOne) {
  Workshop shop;
  shop.add_two_speakers(4);
  (void)shop.run({power_maker("x")});
  const auto straight = read_file(shop.request.dataset);
  for (const auto* stage : {"cutting recordings", "making features", "writing the dataset"}) {
    fs::remove_all(shop.request.cache);
    fs::remove(shop.request.dataset);
    shop.sink.on_event = [&](const Event& event) {
      const auto* progress = std::get_if<ProgressEvent>(&event);
      if (progress != nullptr && progress->task == stage && progress->done >= 3) request_stop(SIGINT);
    };
    try {
      (void)shop.run({power_maker("x")});
      ADD_FAILURE() << "not stopped while " << stage;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 130);
      EXPECT_THAT(error.what(), HasSubstr("the same command continues from here"));
    }
    EXPECT_FALSE(fs::exists(shop.request.dataset));
    request_stop(0);
    shop.sink.on_event = {};
    const auto report = shop.run({power_maker("x")});
    EXPECT_GE(report.n_parts_reused, 2);
    EXPECT_EQ(read_file(shop.request.dataset), straight) << stage;
  }
}

TEST(Prepare, FeatureSetsAreAddedBesideThoseThatAreThere) {
  Workshop shop;
  shop.add_two_speakers(2);
  EXPECT_EQ(shop.run({power_maker("x")}).outcome, "written");
  Dataset::open(shop.request.dataset).record_test_opening({"now", "evaluate", "m"});
  EXPECT_EQ(shop.run({power_maker("x")}).outcome, "already complete");
  const auto report = shop.run({power_maker("y")});
  EXPECT_EQ(report.outcome, "features added");
  EXPECT_EQ(report.n_parts_reused, 4);
  const auto dataset = Dataset::open(shop.request.dataset);
  EXPECT_EQ(dataset.feature_sets().size(), 2u);
  EXPECT_EQ(dataset.ledger().size(), 1u);
  for (const auto& clip : dataset.clips()) {
    const auto features = dataset.features(power_maker("y").key, clip);
    EXPECT_EQ(features.n_frames, n_feature_frames(clip.length, 32000));
    EXPECT_EQ(features.values, dataset.features(power_maker("x").key, clip).values);
  }
}

TEST(Prepare, StatisticsOfASpeakerComeFromTrainingClipsOnly) {
  Workshop shop;
  shop.add_two_speakers(5);
  auto maker = power_maker("x");
  maker.normaliser = [] { return std::make_unique<CentringNormaliser>(); };
  (void)shop.run({maker});
  const auto dataset = Dataset::open(shop.request.dataset);
  for (std::int64_t speaker = 0; speaker < 2; ++speaker) {
    double train = 0, n = 0;
    for (const auto& clip : dataset.clips_of(Split::train)) {
      if (clip.speaker != speaker) continue;
      const auto features = dataset.features(maker.key, clip);
      for (std::int64_t i = 0; i < features.n_frames; ++i) train += features.values[static_cast<std::size_t>(2 * i)];
      n += static_cast<double>(features.n_frames);
    }
    EXPECT_NEAR(train / n, 0, 1e-3) << dataset.speakers()[static_cast<std::size_t>(speaker)];
  }
}

TEST(Prepare, ADatasetOfOtherContentIsOnlyReplacedWhenForced) {
  Workshop shop;
  shop.add_two_speakers(2);
  (void)shop.run();
  const auto before = read_file(shop.request.dataset);
  shop.request.config.sample_rate_hz = 40000;
  try {
    (void)shop.run();
    ADD_FAILURE() << "replaced";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr("replace it with --force"));
  }
  EXPECT_EQ(read_file(shop.request.dataset), before);
  shop.request.force = true;
  EXPECT_EQ(shop.run().outcome, "written");
  EXPECT_EQ(Dataset::open(shop.request.dataset).sample_rate_hz(), 40000);
}

TEST(Prepare, NearDuplicatesStayOnOneSide) {
  for (std::int64_t seed = 0; seed < 4; ++seed) {
    Workshop shop;
    shop.request.config.seed = seed;
    shop.request.config.validation_share = shop.request.config.test_share = 0.3;
    for (std::uint32_t i = 0; i < 6; ++i) {
      write_wave(shop.request.recordings / (std::to_string(i) + ".wav"), pseudo_speech(i, 2.5, 16000));
    }
    auto quieter = pseudo_speech(2, 2.5, 16000);
    quieter.erase(quieter.begin(), quieter.begin() + 3000);
    for (auto& sample : quieter) sample *= 0.2F;
    write_wave(shop.request.recordings / "again.ogg", resample(quieter, 16000, 44100), 44100);
    const auto report = shop.run();
    EXPECT_GE(row(report, "again.ogg").duplicate_group, 0);
    EXPECT_EQ(row(report, "again.ogg").duplicate_group, row(report, "2.wav").duplicate_group);
    EXPECT_EQ(row(report, "again.ogg").split, row(report, "2.wav").split);
    EXPECT_EQ(row(report, "1.wav").duplicate_group, -1);
  }
}

TEST(Prepare, AListDecidesTheSidesAndItsMistakesStopBeforeAnyWork) {
  Workshop shop;
  shop.add_two_speakers(2);
  shop.request.split_list = shop.folder / "list.txt";
  write_file_atomically(*shop.request.split_list,
                        "train alice/0.wav\ntest alice/1.wav\nvalidation bob/0.wav\ntrain bob/9.wav\n");
  try {
    (void)shop.run();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("list.txt:4: no recording 'bob/9.wav'"));
    EXPECT_THAT(error.what(), HasSubstr("recording 'bob/1.wav' is not listed"));
  }
  EXPECT_FALSE(fs::exists(shop.request.cache));
  write_file_atomically(*shop.request.split_list,
                        "train alice/0.wav\ntest alice/1.wav\nvalidation bob/0.wav\ntrain bob/1.wav\n");
  const auto report = shop.run();
  EXPECT_EQ(row(report, "alice/1.wav").split, "test");
  EXPECT_EQ(row(report, "bob/0.wav").split, "validation");
}

TEST(CutRecording, LongRecordingsThatStreamThroughAFileOnTwoThreadsGiveTheSameClips) {
  const TemporaryFolder folder;
  write_wave(folder / "a.wav", pseudo_speech(3, 20.0, 16000));
  for (const auto* normalise : {"none", "pre", "post"}) {
    PrepareConfig config;
    config.normalise = normalise;
    const auto small = cut_recording(folder / "a.wav", config, folder / "small.part", 1000, true);
    const auto large = cut_recording(folder / "a.wav", config, folder / "large.part", 1 << 30, false);
    EXPECT_EQ(read_file(folder / "small.part"), read_file(folder / "large.part"));
    EXPECT_GE(small.clips.size(), 6u);
    const auto again = read_part(folder / "small.part");
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->sound_hash, large.sound_hash);
    EXPECT_EQ(again->fingerprint.bits, large.fingerprint.bits);
  }
}

TEST(CutRecording, ADamagedPartIsMadeAgain) {
  const TemporaryFolder folder;
  write_wave(folder / "a.wav", pseudo_speech(3, 2.0, 16000));
  (void)cut_recording(folder / "a.wav", {}, folder / "a.part", 1 << 20, false);
  const auto whole = read_file(folder / "a.part");
  for (const std::size_t cut : {1, 10, 300}) {
    write_file_atomically(folder / "cut.part", std::string_view(whole).substr(0, whole.size() - cut));
    EXPECT_FALSE(read_part(folder / "cut.part").has_value());
  }
}

}  // namespace
}  // namespace melisma
