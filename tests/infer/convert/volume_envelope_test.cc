#include "infer/convert/volume_envelope.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/golden.h"

namespace melisma {
namespace {

constexpr std::int64_t kRate = 8000, kSourceRate = 16000;

// Noise whose loudness goes up and down, other at every seed.
std::vector<float> swelling(std::uint32_t seed, std::size_t n, double period) {
  testing::Lcg random(seed);
  std::vector<float> samples(n);
  for (std::size_t k = 0; k < n; ++k) {
    const double level = 0.3 + 0.25 * std::sin(2 * M_PI * static_cast<double>(k) / period);
    samples[k] = static_cast<float>(level * random.next());
  }
  return samples;
}

std::vector<float> shaped(std::span<const float> source, const std::vector<float>& samples, double keep,
                          std::size_t block = 1 << 20) {
  VolumeEnvelope envelope(source, kSourceRate, std::ssize(samples), kRate, keep);
  std::vector<float> out;
  for (std::size_t first = 0; first < samples.size(); first += block) {
    envelope.push(std::span(samples).subspan(first, std::min(block, samples.size() - first)), out);
  }
  envelope.finish(out);
  return out;
}

// n frames spread over all samples, as torch interpolates them.
double frame_between(const std::vector<double>& frames, std::size_t sample, std::size_t n_samples) {
  const double n = static_cast<double>(frames.size());
  const double at = std::max((static_cast<double>(sample) + 0.5) * n / static_cast<double>(n_samples) - 0.5, 0.0);
  const auto below = std::min(static_cast<std::size_t>(at), frames.size() - 1);
  const auto above = std::min(below + 1, frames.size() - 1);
  return frames[below] * (1 - (at - static_cast<double>(below))) + frames[above] * (at - static_cast<double>(below));
}

TEST(VolumeEnvelope, IsTheRvcToolsFormulaOverTheWholeSignal) {
  for (const std::size_t n : {100u, 8000u, 30001u}) {
    const auto source = swelling(3, 2 * n + 77, 25000), samples = swelling(4, n, 9000);
    const auto source_rms = frame_rms(source, kSourceRate, kSourceRate / 2),
               own_rms = frame_rms(samples, kRate, kRate / 2);
    for (const double keep : {0.0, 0.25, 0.8}) {
      const auto out = shaped(source, samples, keep);
      ASSERT_EQ(out.size(), n);
      for (std::size_t k = 0; k < n; k += 13) {
        const double expected = samples[k] * std::pow(frame_between(source_rms, k, n), 1 - keep) *
                                std::pow(std::max(frame_between(own_rms, k, n), 1e-6), keep - 1);
        ASSERT_NEAR(out[k], expected, 1e-6) << n << " " << keep << " " << k;
      }
    }
  }
}

TEST(VolumeEnvelope, BlocksDoNotMatterAndAllOfTheOwnIsNoChange) {
  const auto source = swelling(3, 50000, 25000), samples = swelling(4, 25000, 9000);
  const auto whole = shaped(source, samples, 0.3);
  for (const std::size_t block : {1u, 777u, 4000u}) EXPECT_EQ(shaped(source, samples, 0.3, block), whole) << block;
  EXPECT_EQ(shaped(source, samples, 1), samples);
}

// The frames are spread evenly over the signal, half a step off their own places, as the RVC tools spread them: what
// rises slowly is followed well, what jumps within a second is not.
TEST(VolumeEnvelope, NoneOfTheOwnGivesTheRecordingsLoudness) {
  const auto source = swelling(3, 8 * kSourceRate, 60.0 * kSourceRate), samples = swelling(4, 8 * kRate, 1e9);
  const auto out = shaped(source, samples, 0);
  const auto wanted = frame_rms(source, kSourceRate, kSourceRate / 2), got = frame_rms(out, kRate, kRate / 2);
  EXPECT_GT(wanted[14] / wanted[2], 1.3);
  for (std::size_t k = 2; k + 2 < got.size(); ++k) EXPECT_NEAR(got[k] / wanted[k], 1, 0.06) << k;
}

TEST(VolumeEnvelope, SilenceStaysSilent) {
  for (const float sample : shaped(swelling(3, 32000, 9000), std::vector<float>(16000), 0)) ASSERT_EQ(sample, 0);
  for (const float sample : shaped(std::vector<float>(32000), swelling(3, 16000, 9000), 0)) ASSERT_EQ(sample, 0);
}

}  // namespace
}  // namespace melisma
