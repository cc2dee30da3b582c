#include "data/signal/chunks.h"

#include <gtest/gtest.h>

namespace melisma {
namespace {

TEST(Chunks, KeepEachFrameOnceAndStayInside) {
  const auto chunks = chunks_with_context(1000, 300, 40);
  ASSERT_EQ(chunks.size(), 4u);
  EXPECT_EQ(chunks[0].compute, (FrameRange{0, 340}));
  EXPECT_EQ(chunks[1].compute, (FrameRange{260, 640}));
  EXPECT_EQ(chunks[3].keep, (FrameRange{900, 1000}));
  EXPECT_EQ(chunks[3].compute, (FrameRange{860, 1000}));
}

}  // namespace
}  // namespace melisma
