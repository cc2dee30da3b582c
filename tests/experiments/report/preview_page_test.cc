// The page of previews: what must stand in it, and that a real browser draws it.
#include "experiments/report/preview_page.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numbers>

#include "data/audio/audio_writer.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

PreviewSound tone(double hz) {
  PreviewSound sound{.wave = {.n_channels = 1, .sample_rate_hz = 16000}, .media_type = "audio/flac"};
  for (int n = 0; n < 32000; ++n) {
    const auto phase = std::fmod(hz * n / 16000, 1.0);
    sound.wave.samples.push_back(static_cast<float>(0.4 * (2 * phase - 1)));
  }
  const testing::TemporaryFolder folder;
  write_audio(folder / "tone.flac", sound.wave, "flac16");
  sound.bytes = read_file(folder / "tone.flac");
  sound.f0_hz.assign(200, static_cast<float>(hz));
  sound.f0_hz[50] = 0;
  return sound;
}

PreviewPage made_page() {
  PreviewPage page{.title = "my voices", .phrase_name = "phrase.wav", .phrase = tone(220)};
  page.voices.push_back({"anna.pth", {{"rate", "40000 Hz"}, {"pitch", "200 to 240 Hz"}}, "", tone(220)});
  page.voices.push_back({"<b>.pth", {{"rate", "32000 Hz"}, {"speed", "3x"}}, "checkpoint: it holds 'NaN'", {}});
  page.voices.push_back({"carl.pth", {}, "", tone(110)});
  return page;
}

int count(const std::string& text, const std::string& words) {
  int n = 0;
  for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++n;
  return n;
}

TEST(PreviewPage, HasARowForEveryVoiceAndASoundForEachThatSpoke) {
  const auto html = preview_html(made_page());
  EXPECT_EQ(count(html, "<audio"), 3) << "the phrase and two voices";
  EXPECT_EQ(count(html, "data:audio/flac;base64,"), 3);
  EXPECT_EQ(count(html, "data:image/png;base64,"), 3);
  EXPECT_EQ(count(html, "<strong>failed</strong>: checkpoint: it holds &#39;NaN&#39;"), 1);
  EXPECT_EQ(count(html, ">spoke<"), 2);
  EXPECT_EQ(count(html, "3 voices, 1 failed"), 1);
  EXPECT_EQ(count(html, "<b>.pth"), 0) << "names are text";
  for (const auto* column : {">rate<", ">pitch<", ">speed<"}) EXPECT_EQ(count(html, column), 1) << column;
}

TEST(PreviewPage, NeedsNothingFromElsewhere) {
  const auto html = preview_html(made_page());
  for (const auto* elsewhere : {"<script", "http://", "https://", "<link", "@import", "url("}) {
    EXPECT_EQ(count(html, elsewhere), 0) << elsewhere;
  }
}

TEST(PreviewPage, ABrowserDrawsIt) {
  if (std::system("command -v chromium >/dev/null 2>&1") != 0) GTEST_SKIP() << "no Chromium here";
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "preview.html", preview_html(made_page()));
  const char* kept = std::getenv("MELISMA_KEEP_SCREENSHOT");
  const auto picture = kept != nullptr ? fs::path(kept) : folder / "page.png";
  const auto command = "chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir=" +
                       (folder / "profile").string() + " --window-size=1100,1500 --screenshot=" + picture.string() +
                       " file://" + (folder / "preview.html").string() + " >/dev/null 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_GT(fs::file_size(picture), 40'000u);  // a blank page of this size is under 15 kB
}

}  // namespace
}  // namespace melisma
