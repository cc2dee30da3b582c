#include "data/audio/audio_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#include "data/audio/audio_writer.h"
#include "data/audio/fate.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::TemporaryFolder;

// A tone in every channel, each half as loud as the one before.
Waveform tones(std::int64_t n_channels, std::int64_t n_frames, std::int64_t rate_hz) {
  Waveform wave{.samples = std::vector<float>(static_cast<std::size_t>(n_channels * n_frames)),
                .n_channels = n_channels,
                .sample_rate_hz = rate_hz};
  for (std::int64_t channel = 0; channel < n_channels; ++channel) {
    const double amplitude = 0.5 * std::pow(0.5, static_cast<double>(channel % 8));
    auto samples = wave.channel(channel);
    for (std::size_t n = 0; n < samples.size(); ++n) {
      samples[n] = static_cast<float>(amplitude * std::sin(0.05 * static_cast<double>(n)));
    }
  }
  return wave;
}

// The file as libsndfile writes it in any of its formats.
void write_with_libsndfile(const fs::path& path, const Waveform& wave, int format) {
  SF_INFO info{};
  info.samplerate = static_cast<int>(wave.sample_rate_hz);
  info.channels = static_cast<int>(wave.n_channels);
  info.format = format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_NE(file, nullptr) << path << ": " << sf_strerror(nullptr);
  std::vector<float> interleaved(wave.samples.size());
  for (std::int64_t channel = 0; channel < wave.n_channels; ++channel) {
    for (std::int64_t n = 0; n < wave.n_frames(); ++n) {
      interleaved[static_cast<std::size_t>(n * wave.n_channels + channel)] =
          wave.channel(channel)[static_cast<std::size_t>(n)];
    }
  }
  ASSERT_EQ(sf_writef_float(file, interleaved.data(), wave.n_frames()), wave.n_frames());
  sf_close(file);
}

// The message of the Error(data) that reading the file gives.
std::string refusal(const fs::path& path) {
  try {
    (void)read_audio(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    return error.message();
  }
  return "read without complaint";
}

void write_bytes(const fs::path& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// While it lives no program is found: what libsndfile refuses is refused at once, without starting ffmpeg.
class NoPrograms {
 public:
  NoPrograms() : path_(std::getenv("PATH")) { ::setenv("PATH", "/nowhere", 1); }
  ~NoPrograms() { ::setenv("PATH", path_.c_str(), 1); }
  NoPrograms(const NoPrograms&) = delete;
  NoPrograms& operator=(const NoPrograms&) = delete;

 private:
  std::string path_;
};

struct SampleFormat {
  const char* name;
  int format;
  double tolerance;
};

class AudioFileFormats : public ::testing::TestWithParam<SampleFormat> {};

TEST_P(AudioFileFormats, ReadsBackAtEveryRateAndChannelCount) {
  TemporaryFolder folder;
  for (const std::int64_t rate_hz : {8000, 22050, 44100, 48000, 192000}) {
    for (const std::int64_t n_channels : {1, 2, 6}) {
      const auto path = folder / (std::string(GetParam().name) + ".audio");  // the content decides, not the name
      const auto wave = tones(n_channels, 5000, rate_hz);
      write_with_libsndfile(path, wave, GetParam().format);
      const auto read = read_audio(path);
      EXPECT_EQ(read.sample_rate_hz, rate_hz);
      ASSERT_EQ(read.n_channels, n_channels);
      ASSERT_EQ(read.n_frames(), 5000);
      const std::vector<double> expected(wave.samples.begin(), wave.samples.end());
      EXPECT_TRUE(testing::near_all(expected, read.samples, GetParam().tolerance)) << rate_hz << ' ' << n_channels;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, AudioFileFormats,
                         ::testing::Values(SampleFormat{"wav_u8", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 1.0 / 128},
                                           SampleFormat{"wav_16", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1.0 / 32767},
                                           SampleFormat{"wav_24", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 1.0 / 8388607},
                                           SampleFormat{"wav_32", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 1e-7},
                                           SampleFormat{"wav_float", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0},
                                           SampleFormat{"wav_double", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 0},
                                           SampleFormat{"aiff_16", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 1.0 / 32767},
                                           SampleFormat{"aiff_s8", SF_FORMAT_AIFF | SF_FORMAT_PCM_S8, 1.0 / 127},
                                           SampleFormat{"caf_24", SF_FORMAT_CAF | SF_FORMAT_PCM_24, 1.0 / 8388607},
                                           SampleFormat{"flac_16", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1.0 / 32767},
                                           SampleFormat{"flac_24", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 1.0 / 8388607},
                                           SampleFormat{"w64_float", SF_FORMAT_W64 | SF_FORMAT_FLOAT, 0},
                                           SampleFormat{"au_double", SF_FORMAT_AU | SF_FORMAT_DOUBLE, 0}),
                         [](const auto& info) { return info.param.name; });

TEST(AudioFile, LossyFormatsKeepLengthRateAndSound) {
  TemporaryFolder folder;
  const auto wave = tones(2, 48000, 48000);
  for (const auto& [name, format] : {std::pair{"a.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS},
                                     {"a.opus", SF_FORMAT_OGG | SF_FORMAT_OPUS},
                                     {"a.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III}}) {
    SCOPED_TRACE(name);
    write_with_libsndfile(folder / name, wave, format);
    const auto read = read_audio(folder / name);
    EXPECT_EQ(read.sample_rate_hz, 48000);
    ASSERT_EQ(read.n_channels, 2);
    EXPECT_NEAR(static_cast<double>(read.n_frames()), 48000, 2500);  // mp3 may keep the coder's padding
    const auto left = read.channel(0).subspan(10000, 20000);
    EXPECT_NEAR(*std::max_element(left.begin(), left.end()), 0.5, 0.03);
  }
}

TEST(AudioFile, ThreeHundredChannelsAreReadAndMixed) {
  TemporaryFolder folder;
  const auto wave = tones(300, 700, 16000);
  write_audio(folder / "wide.wav", wave, "wav32f");
  EXPECT_EQ(read_audio(folder / "wide.wav").samples, wave.samples);
  const auto mono = read_audio_mono(folder / "wide.wav");
  EXPECT_EQ(mono.samples, mixed_to_mono(wave).samples);
  EXPECT_EQ(mono.n_channels, 1);
}

TEST(AudioFile, OneSampleIsAFile) {
  TemporaryFolder folder;
  write_audio(folder / "one.wav", tones(1, 1, 8000), "wav16");
  EXPECT_EQ(read_audio(folder / "one.wav").n_frames(), 1);
  EXPECT_EQ(probe_audio(folder / "one.wav").n_frames, 1);
}

TEST(AudioFile, BlocksJoinToTheWhole) {
  TemporaryFolder folder;
  const auto wave = tones(2, 40000, 44100);
  write_audio(folder / "a.flac", wave, "flac");
  const auto whole = read_audio(folder / "a.flac");
  auto reader = AudioReader::open(folder / "a.flac");
  std::vector<float> left;
  for (auto block = reader.read(777); block.n_frames() > 0; block = reader.read(777)) {
    left.insert(left.end(), block.channel(0).begin(), block.channel(0).end());
  }
  EXPECT_TRUE(std::equal(left.begin(), left.end(), whole.channel(0).begin(), whole.channel(0).end()));
  EXPECT_EQ(reader.read(777).n_frames(), 0);
}

TEST(AudioFile, NonFiniteAndHotFloatsArriveAsTheyAre) {
  TemporaryFolder folder;
  auto wave = tones(1, 20000, 16000);
  wave.samples[5] = std::numeric_limits<float>::quiet_NaN();
  wave.samples[6] = std::numeric_limits<float>::infinity();
  wave.samples[7] = 3.5f;
  write_with_libsndfile(folder / "bad.wav", wave, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  const auto read = read_audio(folder / "bad.wav");
  EXPECT_TRUE(std::isnan(read.samples[5]) && std::isinf(read.samples[6]));
  EXPECT_EQ(read.samples[7], 3.5f);
  FateAssessor assessor({}, read.sample_rate_hz, read.n_channels);
  assessor.add(read);
  EXPECT_EQ(name_of(assessor.finish().fate), "non_finite");
}

TEST(AudioFile, MissingFoldersAndEmptyFilesAreNamed) {
  TemporaryFolder folder;
  write_bytes(folder / "empty.wav", "");
  EXPECT_EQ(refusal(folder / "none.wav"),
            fmt::format("cannot read '{}': no such file", (folder / "none.wav").string()));
  EXPECT_EQ(refusal(folder.path()), fmt::format("cannot read '{}': it is a folder", folder.path().string()));
  EXPECT_EQ(refusal(folder / "empty.wav"),
            fmt::format("cannot read '{}': the file is empty (0 bytes)", (folder / "empty.wav").string()));
  write_audio(folder / "header_only.wav", Waveform{.samples = {}, .n_channels = 1, .sample_rate_hz = 16000}, "wav16");
  EXPECT_EQ(refusal(folder / "header_only.wav"),
            fmt::format("'{}' holds no samples", (folder / "header_only.wav").string()));
}

TEST(AudioFile, ATruncatedWaveIsRefusedWithBothLengths) {
  TemporaryFolder folder;
  write_audio(folder / "a.wav", tones(1, 4000, 16000), "wav16");
  const auto whole = read_file(folder / "a.wav");
  write_bytes(folder / "cut.wav", std::string_view(whole).substr(0, 44 + 5000));
  EXPECT_EQ(refusal(folder / "cut.wav"),
            fmt::format("cannot read '{}': truncated: its header promises 8000 bytes of samples but only 5000 follow",
                        (folder / "cut.wav").string()));
}

TEST(AudioFile, EveryCutOfAHeaderIsAnErrorAndNeverACrash) {
  TemporaryFolder folder;
  NoPrograms only_libsndfile;
  const auto wave = tones(2, 3000, 16000);
  for (const auto* format : {"wav24", "flac", "ogg"}) {
    write_audio(folder / "whole", wave, format);
    const auto whole = read_file(folder / "whole");
    for (std::size_t size = 1; size < whole.size(); size = size < 50 ? size + 7 : size * 2) {
      write_bytes(folder / "cut", std::string_view(whole).substr(0, size));
      try {  // an Ogg stream is whole at every page; all else must be refused
        const auto read = read_audio(folder / "cut");
        EXPECT_STREQ(format, "ogg") << size << " of " << whole.size() << " bytes";
        EXPECT_LT(read.n_frames(), 3000);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
      }
    }
  }
}

TEST(AudioFile, RandomBytesUnderAnyNameAreRefused) {
  TemporaryFolder folder;
  testing::Lcg random(11);
  std::string bytes(3000, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random.next_state() >> 24);
  for (const auto* name : {"a.wav", "b.mp3", "c.m4a"}) {
    write_bytes(folder / name, bytes);
    EXPECT_NE(refusal(folder / name).find("cannot read"), std::string::npos) << refusal(folder / name);
  }
}

TEST(AudioFile, FlippedBytesNeverCrash) {
  TemporaryFolder folder;
  NoPrograms only_libsndfile;
  testing::Lcg random(12);
  const auto wave = tones(2, 2000, 16000);
  for (const auto* format : {"wav16", "wav32f", "flac", "ogg"}) {
    write_audio(folder / "whole", wave, format);
    const auto whole = read_file(folder / "whole");
    for (int trial = 0; trial < 25; ++trial) {
      auto bytes = whole;
      for (int flip = 0; flip < 4; ++flip) {
        const auto limit = flip < 2 ? std::min<std::size_t>(60, bytes.size()) : bytes.size();
        bytes[random.next_state() % limit] = static_cast<char>(random.next_state() >> 24);
      }
      write_bytes(folder / "flipped", bytes);
      try {
        auto source = AudioReader::open(folder / "flipped");
        std::int64_t n_frames = 0;
        for (auto block = source.read(1000); block.n_frames() > 0 && n_frames < 1000000; block = source.read(1000)) {
          n_frames += block.n_frames();
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
      }
    }
  }
}

TEST(AudioFile, FolderScansFindAudioSortedAndSkipHiddenFiles) {
  TemporaryFolder folder;
  fs::create_directories(folder / "bob/.cache");
  for (const auto* name : {"b.wav", "a.FLAC", "bob/c.m4a", "bob/._c.m4a", "bob/.cache/d.wav", "notes.txt"}) {
    write_bytes(folder / name, "x");
  }
  const std::vector<fs::path> expected{folder / "a.FLAC", folder / "b.wav", folder / "bob/c.m4a"};
  EXPECT_EQ(find_audio_files(folder.path()), expected);
  EXPECT_THROW((void)find_audio_files(folder / "none"), Error);
}

TEST(AudioWriter, IntegersRoundAndClampAndReadBackExactly) {
  TemporaryFolder folder;
  Waveform wave{.samples = {0.0f, 0.25f, -1.0f, 1.0f, 2.0f, -3.0f, 1.5f / 32768, 2.5f / 32768},
                .n_channels = 1,
                .sample_rate_hz = 16000};
  write_audio(folder / "a.wav", wave);
  const std::vector<float> expected{0, 0.25f, -1, 32767.0f / 32768, 32767.0f / 32768, -1, 2.0f / 32768, 2.0f / 32768};
  EXPECT_EQ(read_audio(folder / "a.wav").samples, expected);
  for (const auto* format : {"wav24", "flac"}) {
    write_audio(folder / format, read_audio(folder / "a.wav"), format);
    EXPECT_EQ(read_audio(folder / format).samples, expected) << format;
  }
}

TEST(AudioWriter, RefusesWhatAFormatCannotHold) {
  TemporaryFolder folder;
  try {
    write_audio(folder / "wide.flac", tones(300, 10, 16000));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("flac cannot hold 300 channels at 16000 Hz"), std::string::npos) << error.message();
  }
  auto bad = tones(2, 10, 16000);
  bad.channel(1)[3] = std::numeric_limits<float>::quiet_NaN();
  try {
    write_audio(folder / "nan.wav", bad);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("sample 3 of channel 1 is not finite"), std::string::npos) << error.message();
  }
  EXPECT_TRUE(fs::is_empty(folder.path())) << "a refused file leaves nothing behind";
  EXPECT_THROW((void)audio_format_named("wav17"), Error);
  EXPECT_THROW((void)audio_format_for("a.xyz"), Error);
  EXPECT_EQ(audio_format_for("a.FLAC").name, "flac");
}

}  // namespace
}  // namespace melisma
