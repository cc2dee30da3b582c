// Resampling against Python soxr (golden/dsp/resample, golden/rvc/preprocess).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>

#include "data/audio/resample.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
using testing::golden_files;
using testing::GoldenFile;
using testing::near_all;

std::vector<float> resampled_in_blocks(std::span<const float> in, std::int64_t from_hz, std::int64_t to_hz,
                                       ResampleQuality quality, std::size_t block) {
  StreamResampler stream(from_hz, to_hz, quality);
  std::vector<float> out;
  for (; !in.empty(); in = in.subspan(std::min(block, in.size())))
    stream.push(in.first(std::min(block, in.size())), out);
  stream.finish(out);
  return out;
}

TEST(GoldenResample, HighQualityIsThatOfPythonSoxr) {
  const auto found = golden_files("dsp", "resample", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no dsp fixtures";
  for (const auto& file : found.files) {
    auto tensors_file = file;
    const auto golden = GoldenFile::load(tensors_file.replace_extension(".safetensors"));
    const auto about = testing::load_json(file);
    const auto x = golden.at("x").floats();
    for (const auto& fixture : about.at("cases")) {
      const std::int64_t from_hz = fixture.at("src"), to_hz = fixture.at("dst");
      const auto name = fmt::format("soxr_hq_{}_{}", from_hz, to_hz);
      SCOPED_TRACE(name);
      const auto got = resample(x, from_hz, to_hz, ResampleQuality::high);
      ASSERT_EQ(static_cast<std::int64_t>(got.size()), fixture.at("length").get<std::int64_t>());
      EXPECT_TRUE(near_all(golden.at(name).values, got, 1e-6));
      for (const std::size_t block : {1u, 1000u, 4999u}) {
        EXPECT_EQ(resampled_in_blocks(x, from_hz, to_hz, ResampleQuality::high, block), got) << "blocks of " << block;
      }
    }
    for (const auto& fixture : about.at("lengths")) {
      const std::int64_t from_hz = fixture.at("src"), to_hz = fixture.at("dst"), n = fixture.at("n");
      const std::vector<float> silence(static_cast<std::size_t>(n));
      EXPECT_EQ(static_cast<std::int64_t>(resample(silence, from_hz, to_hz).size()),
                fixture.at("soxr").get<std::int64_t>())
          << n << " frames " << from_hz << " -> " << to_hz;
      EXPECT_EQ(resampled_length(n, from_hz, to_hz), fixture.at("soxr").get<std::int64_t>());
    }
  }
}

struct Tone {
  double amplitude, residual;
};

// Least-squares sine of that frequency in x[first, last): its amplitude and the RMS of what is left.
Tone fit_tone(std::span<const float> x, double cycles_a_sample, std::size_t first, std::size_t last) {
  const auto basis = [&](std::size_t n) {
    return std::polar(1.0, 2 * std::numbers::pi * cycles_a_sample * static_cast<double>(n));
  };
  double cc = 0, ss = 0, cs = 0, xc = 0, xs = 0;
  for (auto n = first; n < last; ++n) {
    const auto b = basis(n);
    cc += b.real() * b.real();
    ss += b.imag() * b.imag();
    cs += b.real() * b.imag();
    xc += x[n] * b.real();
    xs += x[n] * b.imag();
  }
  const double determinant = cc * ss - cs * cs;
  const double c = (xc * ss - xs * cs) / determinant, s = (xs * cc - xc * cs) / determinant;
  double left = 0;
  for (auto n = first; n < last; ++n) {
    const auto b = basis(n);
    left += std::pow(x[n] - c * b.real() - s * b.imag(), 2);
  }
  return {std::hypot(c, s), std::sqrt(left / static_cast<double>(last - first))};
}

TEST(GoldenResample, TonesPassUpToNineTenthsAndVanishAboveNyquist) {
  const auto found = golden_files("dsp", "resample", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no dsp fixtures";
  const auto cases = testing::load_json(found.files.at(0)).at("cases");
  ASSERT_FALSE(cases.empty());
  for (const auto& fixture : cases) {
    const std::int64_t from_hz = fixture.at("src"), to_hz = fixture.at("dst");
    for (const auto& tone : fixture.at("tones")) {
      const double frequency_hz = tone.at("freq");
      std::vector<float> in(static_cast<std::size_t>(from_hz / 2));
      for (std::size_t n = 0; n < in.size(); ++n) {
        in[n] = static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * frequency_hz * static_cast<double>(n) /
                                                  static_cast<double>(from_hz)));
      }
      const auto out = resample(in, from_hz, to_hz, ResampleQuality::high);
      const auto margin = out.size() / 20;
      const double low_rate = static_cast<double>(std::min(from_hz, to_hz));
      const auto fit = fit_tone(out, frequency_hz / static_cast<double>(to_hz), margin, out.size() - margin);
      SCOPED_TRACE(fmt::format("{} Hz, {} -> {}", frequency_hz, from_hz, to_hz));
      if (frequency_hz < low_rate / 2) {
        EXPECT_NEAR(20 * std::log10(fit.amplitude / 0.5), tone.at("gain_db").get<double>(), 1e-4);
        EXPECT_LT(20 * std::log10(fit.residual / 0.5), -130);
      } else {
        EXPECT_LT(20 * std::log10(std::hypot(fit.residual, fit.amplitude) / 0.5), -130);
      }
    }
  }
}

TEST(GoldenResample, BothQualitiesAreThoseOfTheRvcToolsLoaders) {
  const auto found = golden_files("rvc", "preprocess", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no rvc fixtures";
  const auto golden = GoldenFile::load(found.files.at(0));
  int n_compared = 0;
  for (const auto& [name, tensor] : golden.tensors) {
    if (!name.starts_with("resample.") || !name.ends_with(".in_i16")) continue;
    SCOPED_TRACE(name);
    const auto rates = name.substr(9, name.size() - 9 - 7);
    const auto from_hz = std::stoll(rates), to_hz = std::stoll(rates.substr(rates.find('_') + 1));
    std::vector<float> in;
    for (const double value : tensor.values) in.push_back(static_cast<float>(value / 32768));
    for (const auto& [quality, which] :
         {std::pair{ResampleQuality::very_high, ".soxr_vhq"}, {ResampleQuality::high, ".soxr_hq"}}) {
      auto got = resample(in, from_hz, to_hz, quality);
      const auto& expected = golden.at("resample." + rates + which).values;
      // librosa, which made the fixture, pads with a zero where its ceiling of n * ratio is one more.
      if (got.size() + 1 == expected.size()) got.push_back(0);
      EXPECT_TRUE(near_all(expected, got, 1e-6)) << which;
    }
    ++n_compared;
  }
  EXPECT_GT(n_compared, 0);
}

TEST(Resample, VeryHighQualityStreamsToTheSameBits) {
  testing::Lcg random(7);
  std::vector<float> in(30000);
  for (auto& sample : in) sample = static_cast<float>(random.next());
  for (const auto& [from_hz, to_hz] : {std::pair{44100, 40000}, {8000, 48000}, {192000, 16000}, {22050, 22050}}) {
    const auto whole = resample(in, from_hz, to_hz);
    EXPECT_EQ(static_cast<std::int64_t>(whole.size()),
              resampled_length(static_cast<std::int64_t>(in.size()), from_hz, to_hz));
    EXPECT_EQ(resampled_in_blocks(in, from_hz, to_hz, ResampleQuality::very_high, 613), whole)
        << from_hz << ' ' << to_hz;
  }
}

TEST(Resample, KeepsChannelsApart) {
  Waveform stereo{.samples = std::vector<float>(2000), .n_channels = 2, .sample_rate_hz = 32000};
  for (auto& sample : stereo.channel(1)) sample = 0.5f;
  const auto result = resample(stereo, 16000);
  EXPECT_EQ(result.n_frames(), 500);
  EXPECT_EQ(result.channel(0)[250], 0.0f);
  EXPECT_NEAR(result.channel(1)[250], 0.5, 1e-6);
}

}  // namespace
}  // namespace melisma
