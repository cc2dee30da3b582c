#include "infer/convert/windows.h"

#include <gtest/gtest.h>

namespace melisma {
namespace {

TEST(EncoderWindows, AShortPieceIsOneWindow) {
  EXPECT_EQ(encoder_windows(3000, 3000, 200), (std::vector<FrameRange>{{0, 3000}}));
  EXPECT_EQ(encoder_windows(1, 3000, 200), (std::vector<FrameRange>{{0, 1}}));
}

TEST(EncoderWindows, CoverEverythingWithAtLeastTheOverlap) {
  for (const std::int64_t total : {3001, 3500, 5800, 5801, 24000, 123457}) {
    const auto windows = encoder_windows(total, 3000, 200);
    EXPECT_EQ(windows.front().first, 0);
    EXPECT_EQ(windows.back().last, total);
    for (std::size_t i = 0; i < windows.size(); ++i) {
      EXPECT_LE(windows[i].length(), 3000);
      EXPECT_EQ(windows[i].length(), windows[0].length());
      if (i > 0) {
        EXPECT_GE(windows[i - 1].last - windows[i].first, 200) << total;
      }
      if (i > 1) {
        EXPECT_LE(windows[i - 2].last, windows[i].first) << "three windows meet, total " << total;
      }
    }
  }
}

}  // namespace
}  // namespace melisma
