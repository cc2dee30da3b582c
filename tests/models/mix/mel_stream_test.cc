// The mel spectrogram of a long recording in blocks is that of the whole, row for row.
#include "models/mix/mel_stream.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/mix/spectrogram_encoder.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {

std::vector<float> sound(std::int64_t n_samples) {
  testing::Lcg noise(11);
  std::vector<float> samples;
  for (std::int64_t i = 0; i < n_samples; ++i) {
    const double swell = 0.5 + 0.5 * std::sin(static_cast<double>(i) / 9000);
    samples.push_back(static_cast<float>(0.3 * swell * noise.next()));
  }
  return samples;
}

TEST(MixMelStream, BlocksOfAnySizeGiveTheRowsOfTheWhole) {
  for (const MixMelConfig mel :
       {MixMelConfig{.n_fft = 512, .hop = 128, .n_mels = 40}, MixMelConfig{.n_fft = 256, .hop = 512, .n_mels = 20}}) {
    for (const std::int64_t n_samples : {257, 300, 4000, 200001}) {
      auto samples = sound(n_samples);
      const auto whole =
          mix_mel_db(at::from_blob(samples.data(), {1, n_samples}, at::kFloat), mel, 22050)[0].t().contiguous();
      ASSERT_EQ(whole.size(0), mix_mel_frames(n_samples, mel));
      for (const std::size_t block : {std::size_t{37}, std::size_t{65536}}) {
        MixMelStream stream(mel, 22050);
        for (std::size_t at = 0; at < samples.size(); at += block) {
          stream.push(std::span(samples).subspan(at, std::min(block, samples.size() - at)));
        }
        const auto rows = stream.finish();
        ASSERT_EQ(std::ssize(rows), whole.numel()) << n_samples << " in " << block;
        for (std::size_t i = 0; i < rows.size(); ++i) {
          ASSERT_NEAR(rows[i], whole.const_data_ptr<float>()[i], 2e-3) << "value " << i << " in blocks of " << block;
        }
      }
    }
  }
}

TEST(MixMelStream, ARecordingOfHalfAFrameHasNoRow) {
  const MixMelConfig mel{.n_fft = 512, .hop = 128, .n_mels = 40};
  MixMelStream stream(mel, 22050);
  stream.push(sound(256));
  EXPECT_TRUE(stream.finish().empty());
  EXPECT_EQ(mix_mel_frames(256, mel), 0);
  EXPECT_EQ(mix_mel_frames(257, mel), 3);
}

}  // namespace
}  // namespace melisma
