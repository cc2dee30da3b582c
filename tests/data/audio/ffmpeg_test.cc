// What the ffmpeg program decodes for us; skipped where it is not installed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

class Ffmpeg : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("ffmpeg -version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no ffmpeg program";
    wave_ = {.samples = std::vector<float>(2 * 32000), .n_channels = 2, .sample_rate_hz = 16000};
    for (std::int64_t channel = 0; channel < 2; ++channel) {
      auto samples = wave_.channel(channel);
      for (std::size_t n = 0; n < samples.size(); ++n) samples[n] = 0.4f * std::sin(0.1f * static_cast<float>(n));
    }
    write_audio(folder_ / "in.wav", wave_);
  }
  // Makes `name` from in.wav by ffmpeg's own encoders; false if this ffmpeg lacks the encoder.
  bool encode(const std::string& name, const std::string& options = "") {
    return std::system(fmt::format("ffmpeg -v quiet -y -i '{}' {} '{}'", (folder_ / "in.wav").string(), options,
                                   (folder_ / name).string())
                           .c_str()) == 0;
  }
  std::string refusal(const std::string& name) {
    try {
      (void)read_audio(folder_ / name);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.message();
    }
    return "read without complaint";
  }
  std::string path_text(const std::string& name) { return (folder_ / name).string(); }

  testing::TemporaryFolder folder_;
  Waveform wave_;
};

TEST_F(Ffmpeg, ReadsEveryKindOfFile) {
  for (const auto* name : {"a.m4a", "a.aac", "a.webm", "a.mp4", "a.wma", "a.mp3", "a.opus"}) {
    SCOPED_TRACE(name);
    if (!encode(name)) continue;  // an encoder this build lacks
    const auto read = read_audio(folder_ / name);
    EXPECT_EQ(read.n_channels, 2);
    EXPECT_NEAR(read.seconds(), 2, 0.15);
    const auto middle = read.channel(0).subspan(static_cast<std::size_t>(read.n_frames() / 4),
                                                static_cast<std::size_t>(read.n_frames() / 2));
    EXPECT_NEAR(*std::max_element(middle.begin(), middle.end()), 0.4, 0.05);
  }
}

TEST_F(Ffmpeg, DecodesLosslessFilesToTheSameSamples) {
  if (!encode("a.m4a", "-c:a alac")) GTEST_SKIP() << "no ALAC encoder";
  EXPECT_EQ(read_audio(folder_ / "a.m4a").samples, read_audio(folder_ / "in.wav").samples);
  EXPECT_EQ(probe_audio(folder_ / "a.m4a").decoder, AudioDecoder::ffmpeg);
}

TEST_F(Ffmpeg, ReadsAFileWithAWrongExtensionAndAnAwkwardName) {
  ASSERT_TRUE(encode("a.m4a"));
  for (const auto* name : {"really_m4a.wav", "-dash 'quote' $HOME; ü.m4a", "http:x.m4a"}) {
    fs::copy_file(folder_ / "a.m4a", folder_ / name);
    EXPECT_EQ(read_audio(folder_ / name).n_channels, 2) << name;
  }
}

TEST_F(Ffmpeg, LeavingAReaderEarlyEndsTheProgram) {
  ASSERT_TRUE(encode("a.mkv"));
  auto reader = AudioReader::open(folder_ / "a.mkv");
  EXPECT_EQ(reader.read(10).n_frames(), 10);
}

TEST_F(Ffmpeg, ATruncatedFileIsRefused) {
  ASSERT_TRUE(encode("a.m4a"));
  const auto whole = read_file(folder_ / "a.m4a");
  std::ofstream(folder_ / "cut.m4a", std::ios::binary) << whole.substr(0, whole.size() / 2);
  EXPECT_EQ(refusal("cut.m4a"),
            fmt::format("cannot read '{}': neither libsndfile nor ffmpeg knows it as audio (Invalid "
                        "data found when processing input)",
                        path_text("cut.m4a")));
  ASSERT_TRUE(encode("a.mkv", "-c:a flac"));
  const auto stream = read_file(folder_ / "a.mkv");
  std::ofstream(folder_ / "cut.mkv", std::ios::binary) << stream.substr(0, stream.size() * 2 / 3);
  EXPECT_EQ(refusal("cut.mkv"),
            fmt::format("cannot read '{}': truncated: ffmpeg says \"File ended prematurely\"", path_text("cut.mkv")));
}

TEST_F(Ffmpeg, AVideoWithoutSoundSaysSo) {
  const auto command =
      fmt::format("ffmpeg -v quiet -y -f lavfi -i color=black:s=32x32:d=0.2 -c:v mpeg4 '{}'", path_text("mute.mp4"));
  if (std::system(command.c_str()) != 0) GTEST_SKIP() << "no video encoder";
  EXPECT_EQ(refusal("mute.mp4"), fmt::format("cannot read '{}': it holds no audio stream", path_text("mute.mp4")));
}

TEST_F(Ffmpeg, ItsAbsenceIsExplained) {
  ASSERT_TRUE(encode("a.m4a"));
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", folder_.path().c_str(), 1);
  const auto known = refusal("a.m4a");
  std::ofstream(folder_ / "text.wav") << "this is not audio at all, only some letters";
  const auto unknown = refusal("text.wav");
  const auto still_readable = read_audio(folder_ / "in.wav").n_channels;
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(known,
            fmt::format("cannot read '{}': .m4a files need the ffmpeg program, which is not in PATH; install ffmpeg "
                        "or convert the file to wav or flac",
                        path_text("a.m4a")));
  EXPECT_EQ(unknown, fmt::format("cannot read '{}': not an audio format that libsndfile knows, and the ffmpeg program, "
                                 "which might know it, is not in PATH",
                                 path_text("text.wav")));
  EXPECT_EQ(still_readable, 2);
}

}  // namespace
}  // namespace melisma
