// The same recording is found again in every disguise that file collections have; other sentences are not.
#include "data/sets/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/audio/resample.h"
#include "tests/data/sets/pseudo_speech.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using ::testing::Each;
using ::testing::ElementsAre;
using testing::Lcg;
using testing::pseudo_speech;

Fingerprint print_of(std::span<const float> wave, std::int64_t rate_hz = 16000) {
  Fingerprinter maker(rate_hz);
  maker.push(wave);
  return maker.finish();
}

// What a lossy coder does, roughly: noise 20 dB below the signal and nothing above 3.4 kHz.
std::vector<float> coded(std::vector<float> wave) {
  wave = resample(resample(wave, 16000, 6800), 6800, 16000);
  Lcg lcg(9);
  double power = 0;
  for (const auto sample : wave) power += sample * sample;
  const double noise = std::sqrt(power / static_cast<double>(wave.size()) * 3) * 0.1;
  for (auto& sample : wave) sample += static_cast<float>(noise * lcg.next());
  return wave;
}

TEST(Fingerprint, FindsTheSameRecordingInEveryDisguise) {
  const auto wave = pseudo_speech(1, 4.0, 16000);
  const auto original = print_of(wave);
  auto quieter = wave;
  for (auto& sample : quieter) sample *= -0.07F;
  EXPECT_LT(best_match(original, print_of(quieter)).bit_error_rate, 0.001);
  EXPECT_LT(best_match(original, print_of(resample(wave, 16000, 44100), 44100)).bit_error_rate, 0.05);
  EXPECT_LT(best_match(original, print_of(coded(wave))).bit_error_rate, 0.2);
  for (const std::size_t cut : {37, 500, 1234, 8000, 16500}) {
    const auto trimmed = coded({wave.begin() + static_cast<std::ptrdiff_t>(cut), wave.end() - 3000});
    const auto match = best_match(original, print_of(trimmed));
    EXPECT_LT(match.bit_error_rate, 0.22) << cut;
    EXPECT_NEAR(static_cast<double>(match.shift_frames), static_cast<double>(cut) / 256, 1.0) << cut;
  }
}

TEST(Fingerprint, TellsOtherSentencesOfTheSameVoiceApart) {
  std::vector<Fingerprint> prints;
  for (std::uint32_t seed = 1; seed <= 24; ++seed) prints.push_back(print_of(pseudo_speech(seed, 3.0, 16000)));
  EXPECT_THAT(duplicate_groups(prints), Each(-1));
}

TEST(Fingerprint, GroupsCarryTheLowestIndex) {
  const auto a = pseudo_speech(1, 3.0, 16000), b = pseudo_speech(2, 3.0, 16000), c = pseudo_speech(3, 3.0, 16000);
  const std::vector<float> part(b.begin() + 6000, b.end());
  const std::vector<Fingerprint> prints{print_of(a), print_of(b), print_of(coded(a)), print_of(c), print_of(part)};
  EXPECT_THAT(duplicate_groups(prints), ElementsAre(0, 1, 0, -1, 1));
}

TEST(Fingerprint, AnExcerptBelongsToItsRecording) {
  const auto whole = pseudo_speech(5, 30.0, 16000);
  const std::vector<float> excerpt(whole.begin() + 200000, whole.begin() + 240000);
  const std::vector<Fingerprint> prints{print_of(whole), print_of(excerpt)};
  EXPECT_THAT(duplicate_groups(prints), ElementsAre(0, 0));
}

TEST(Fingerprint, SilenceAndVeryShortSoundsAreLikeNothing) {
  const std::vector<float> silence(32000, 0.0F), blip(800, 0.5F);
  const std::vector<Fingerprint> prints{print_of(silence), print_of(silence), print_of(blip), print_of(blip),
                                        print_of({})};
  EXPECT_THAT(duplicate_groups(prints), Each(-1));
}

TEST(Fingerprint, BlocksOfAnySizeGiveTheSame) {
  const auto wave = pseudo_speech(3, 2.0, 16000);
  Fingerprinter maker(16000);
  for (std::size_t at = 0; at < wave.size(); at += 777) {
    maker.push(std::span(wave).subspan(at, std::min<std::size_t>(777, wave.size() - at)));
  }
  const auto pieces = maker.finish(), whole = print_of(wave);
  EXPECT_EQ(pieces.bits, whole.bits);
  EXPECT_EQ(pieces.doubtful, whole.doubtful);
}

}  // namespace
}  // namespace melisma
