// Pitch by the published networks against the curves that RVC makes of them. tools/fetch_pitch_weights brings the
// weights.
#include <gtest/gtest.h>

#include "infer/features/pitch.h"
#include "models/pitch/pitch_files.h"
#include "tests/models/pitch/networks.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::golden_files;
using testing::GoldenFile;

bool has_weights(const std::string& name) {
  try {
    return !find_weights(name).empty();
  } catch (const Error&) {
    return false;
  }
}

// `expected` has a frame more than there are whole hops.
void compare(const GoldenFile& golden, const std::string& tensor, const std::string& signal,
             const PitchConfig& config) {
  const auto wave = testing::fixture_signal(signal);
  auto expected = golden.at(tensor).values;
  ASSERT_EQ(expected.size(), wave.size() / 160 + 1);
  expected.resize(wave.size() / 160);
  EXPECT_TRUE(testing::near_all(expected, extract_pitch(wave, config), 1e-3, 1e-4)) << tensor;
}

TEST(SlowPitch, CrepeEqualsRvcsUseOfThePackage) {
  const auto found = golden_files("rvc", "f0_crepe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  if (!has_weights("crepe-tiny.pth") || !has_weights("crepe-full.pth")) {
    GTEST_SKIP() << "no weights: tools/fetch_pitch_weights brings them";
  }
  const auto golden = GoldenFile::load(found.files.front());
  for (const std::string signal : {"glide", "noise", "voice"}) {
    compare(golden, signal + ".tiny.rvc.f0", signal,
            {.method = "crepe-tiny",
             .crepe_tiny = {.weights = "crepe-tiny.pth", .weights_sha256 = golden.metadata.at("sha256_tiny")}});
  }
  compare(golden, "noise.full.rvc.f0", "noise", {.method = "crepe"});
}

TEST(SlowPitch, FcpeEqualsRvcsUseOfThePackage) {
  const auto found = golden_files("rvc", "f0_fcpe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  if (!has_weights("fcpe.pt")) GTEST_SKIP() << "no weights: tools/fetch_pitch_weights brings them";
  const auto golden = GoldenFile::load(found.files.front());
  for (const std::string signal : {"glide", "noise", "voice"}) {
    compare(golden, signal + ".f0_local_argmax_0.006", signal, {.method = "fcpe", .fmin_hz = 20, .fmax_hz = 4000});
  }
}

}  // namespace
}  // namespace melisma
