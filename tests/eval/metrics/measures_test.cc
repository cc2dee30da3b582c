// Ratios, pitch comparisons, cepstra and spectral losses against the fixtures of golden/metrics.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <filesystem>

#include "eval/metrics/mel_cepstrum.h"
#include "eval/metrics/pitch_metrics.h"
#include "eval/metrics/ratios.h"
#include "eval/metrics/spectral.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {

using testing::golden_folder;
using testing::load_json;

bool has_metrics() { return std::filesystem::exists(golden_folder("metrics")); }

std::vector<double> concatenated(const std::vector<std::vector<double>>& channels) {
  std::vector<double> all;
  for (const auto& channel : channels) all.insert(all.end(), channel.begin(), channel.end());
  return all;
}

at::Tensor stereo(const std::vector<std::vector<double>>& channels) {
  auto all = concatenated(channels);
  const auto n = static_cast<int64_t>(channels.front().size());
  return at::from_blob(all.data(), {1, static_cast<int64_t>(channels.size()), n}, at::kDouble).clone();
}

std::vector<std::vector<double>> degraded(std::vector<std::vector<double>> channels) {
  const double gains[] = {.8, .5};
  for (std::size_t c = 0; c < channels.size(); ++c) {
    for (double& x : channels[c]) x *= gains[c];
    const auto scaled = channels[c];
    for (std::size_t n = 1; n < scaled.size(); ++n) channels[c][n] = (scaled[n] + scaled[n - 1]) / 2;
  }
  return channels;
}

Cepstra cepstra_of(const testing::GoldenTensor& tensor) { return {tensor.values, tensor.shape[0], tensor.shape[1]}; }

// The four stems and their estimates of separation.json.
struct Stems {
  std::vector<std::vector<std::vector<double>>> references, estimates;
};

Stems render_stems(const nlohmann::json& fixture) {
  Stems stems;
  for (const char* name : {"drums", "bass", "other", "vocals"}) {
    stems.references.push_back(testing::render_recipe(fixture["stems"][name]));
  }
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& p = fixture["estimates"]["parameters"][i];
    const auto delay = p["d"].get<std::size_t>();
    std::vector<std::vector<double>> estimate;
    for (std::size_t ch = 0; ch < 2; ++ch) {
      const auto& s = stems.references[i][ch];
      const auto& other = stems.references[(i + 1) % 4][ch];
      testing::Lcg noise(static_cast<uint32_t>(301 + 2 * i + ch));
      std::vector<double> wave;
      for (std::size_t n = 0; n < s.size(); ++n) {
        const double delayed = n >= delay ? s[n - delay] : 0;
        wave.push_back(p["a"].get<double>() * s[n] + p["b"].get<double>() * delayed + p["c"].get<double>() * other[n] +
                       p["g"].get<double>() * noise.next());
      }
      estimate.push_back(std::move(wave));
    }
    stems.estimates.push_back(std::move(estimate));
  }
  return stems;
}

}  // namespace

TEST(GoldenMetrics, SignalRatios) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "separation.json");
  const auto stems = render_stems(fixture);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& expected = fixture["ratios"][i];
    SCOPED_TRACE(expected["stem"].get<std::string>());
    const auto& reference = stems.references[i];
    const auto& estimate = stems.estimates[i];
    const auto both = concatenated(reference), both_estimate = concatenated(estimate);
    EXPECT_NEAR(sdr_db(reference[0], estimate[0]), expected["snr_left"].get<double>(), 1e-6);
    EXPECT_NEAR(si_sdr_db(reference[0], estimate[0]), expected["si_sdr_left"].get<double>(), 1e-6);
    EXPECT_NEAR(si_sdr_db(reference[0], estimate[0], true), expected["si_sdr_left_zero_mean"].get<double>(), 1e-6);
    EXPECT_NEAR(sdr_db(both, both_estimate, 1e-7), expected["sdr_all_channels_eps1e7"].get<double>(), 1e-6);
    EXPECT_NEAR(sdr_db(both, both_estimate, 1e-8), expected["sdr_all_channels_eps1e8"].get<double>(), 1e-6);
    EXPECT_NEAR(si_sdr_db(both, both_estimate), expected["si_sdr_all_channels"].get<double>(), 1e-6);
    EXPECT_TRUE(testing::near_all(testing::json_numbers(expected["frames_sdr"]),
                                  std::span<const double>(frame_sdr_db(both, both_estimate, 2, 8000)), 1e-6));
    EXPECT_TRUE(testing::near_all(testing::json_numbers(fixture["museval_v4"]["sdr"][i]),
                                  std::span<const double>(frame_sdr_db(both, both_estimate, 2, 8000)), 1e-6));
  }
}

TEST(GoldenMetrics, PitchContours) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "pitch.json");
  const auto got =
      compare_pitch(testing::json_numbers(fixture["reference_hz"]), testing::json_numbers(fixture["estimate_hz"]));
  const auto& melody = fixture["mir_eval_melody"];
  const std::pair<nlohmann::json, double> pairs[] = {{fixture["rmse_hz"], got.rmse_hz},
                                                     {fixture["rmse_cents"], got.rmse_cents},
                                                     {fixture["mean_abs_cents"], got.mean_abs_cents},
                                                     {fixture["bias_cents"], got.bias_cents},
                                                     {fixture["pearson"], got.pearson},
                                                     {fixture["pearson_log"], got.pearson_log},
                                                     {fixture["vuv_error_percent"], got.vuv_error_percent},
                                                     {fixture["gross_pitch_error_20"], got.gross_pitch_error_20},
                                                     {fixture["f0_frame_error"], got.f0_frame_error},
                                                     {melody["Voicing Recall"], got.voicing_recall},
                                                     {melody["Voicing False Alarm"], got.voicing_false_alarm},
                                                     {melody["Raw Pitch Accuracy"], got.raw_pitch_accuracy},
                                                     {melody["Raw Chroma Accuracy"], got.raw_chroma_accuracy},
                                                     {melody["Overall Accuracy"], got.overall_accuracy}};
  for (const auto& [expected, value] : pairs) EXPECT_NEAR(value, expected.get<double>(), 1e-9);
  EXPECT_EQ(got.n_voiced_both, fixture["voiced_both"].get<int64_t>());
  EXPECT_EQ(got.voiced_to_unvoiced, fixture["voiced_to_unvoiced"].get<int64_t>());
  EXPECT_EQ(got.unvoiced_to_voiced, fixture["unvoiced_to_voiced"].get<int64_t>());
}

TEST(GoldenMetrics, MelCepstralDistortionOfGivenCepstra) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "mel_cepstral_distortion.json");
  const auto tensors = testing::GoldenFile::load(golden_folder("metrics") / "mel_cepstral_distortion.safetensors");
  const auto reference = cepstra_of(tensors.at("reference"));
  for (const auto& expected : fixture["cases"]) {
    const auto name = expected["name"].get<std::string>();
    SCOPED_TRACE(name);
    const auto estimate = cepstra_of(tensors.at(name));
    const auto near = [&](const char* key, double got) { EXPECT_NEAR(got, expected[key].get<double>(), 1e-4) << key; };
    near("mcd_no_dtw", mel_cepstral_distortion_db(reference, estimate, false));
    near("mcd_no_dtw_with_c0", mel_cepstral_distortion_db(reference, estimate, false, 0));
    near("mcd_dtw", mel_cepstral_distortion_db(reference, estimate, true));
    near("mcd_dtw_with_c0", mel_cepstral_distortion_db(reference, estimate, true, 0));
    const auto path = warp(reference, estimate, 1);
    EXPECT_EQ(path.steps.size(), expected["path_length"].get<std::size_t>());
    for (std::size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(path.steps[i].first, expected["path_first20"][i][0].get<int64_t>());
      EXPECT_EQ(path.steps[i].second, expected["path_first20"][i][1].get<int64_t>());
    }
  }
}

TEST(GoldenMetrics, MelCepstraAreThoseOfTheSpeechFixture) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto speech = testing::GoldenFile::load(golden_folder("metrics") / "speech_quality.safetensors");
  auto wave = speech.at("speech.int16").values;
  for (double& sample : wave) sample /= 32768;
  const auto own = mel_cepstra(wave);
  const auto tensors = testing::GoldenFile::load(golden_folder("metrics") / "mel_cepstral_distortion.safetensors");
  const auto reference = cepstra_of(tensors.at("reference"));
  Cepstra used{{}, reference.n_frames, reference.width};
  used.values.assign(own.values.begin() + 20 * own.width, own.values.begin() + (20 + used.n_frames) * own.width);
  EXPECT_LT(mel_cepstral_distortion_db(reference, used, false, 0), .05);
  RecordProperty("distortion_db", std::to_string(mel_cepstral_distortion_db(reference, used, false, 0)));
}

TEST(GoldenMetrics, SpectralLosses) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "spectral.json");
  const auto channels = testing::render_recipe(fixture["signal"]);
  const auto reference = stereo(channels);
  const std::vector<StftLossConfig> halves{
      {.n_fft = 512, .hop = 256, .window = 512, .convergence = 0, .magnitude = 1},
      {.n_fft = 2048, .hop = 1024, .window = 2048, .convergence = 0, .magnitude = 1},
      {.n_fft = 8192, .hop = 4096, .window = 8192, .convergence = 0, .magnitude = 1}};
  const std::vector<StftLossConfig> sides{{.n_fft = 4096, .hop = 2048, .window = 4096},
                                          {.n_fft = 1024, .hop = 512, .window = 1024},
                                          {.n_fft = 256, .hop = 128, .window = 256}};
  using Loss = std::function<at::Tensor(const at::Tensor&)>;
  const auto one = [&](const StftLossConfig& config) -> Loss {
    return [&reference, config](const at::Tensor& x) { return stft_loss(x, reference, config); };
  };
  const std::pair<const char*, Loss> losses[] = {
      {"mrstft_default",
       [&](const at::Tensor& x) { return multi_resolution_stft_loss(x, reference, multi_resolution_configs()); }},
      {"mrstft_512_2048_8192_lin_log",
       [&](const at::Tensor& x) { return multi_resolution_stft_loss(x, reference, halves); }},
      {"stft_2048_512", one({.n_fft = 2048, .hop = 512, .window = 2048})},
      {"stft_1024_120_600", one({.n_fft = 1024, .hop = 120, .window = 600})},
      {"stft_sc_only", one({.n_fft = 2048, .hop = 512, .window = 2048, .log_magnitude = 0})},
      {"stft_lin_only",
       one({.n_fft = 2048, .hop = 512, .window = 2048, .convergence = 0, .log_magnitude = 0, .magnitude = 1})},
      {"stft_log_l2", one({.n_fft = 2048, .hop = 512, .window = 2048, .convergence = 0, .squared = true})},
      {"stft_mel80", one({.n_fft = 2048, .hop = 512, .window = 2048, .n_mels = 80})},
      {"sum_difference_4096_1024_256",
       [&](const at::Tensor& x) { return sum_difference_stft_loss(x, reference, sides); }}};
  for (const auto& [name, loss] : losses) {
    SCOPED_TRACE(name);
    const auto& expected = fixture["losses"][name];
    auto estimate = stereo(degraded(channels)).set_requires_grad(true);
    const auto value = loss(estimate);
    const double want = expected["value"].get<double>();
    EXPECT_NEAR(value.item<double>(), want, 1e-7 * want);
    const auto gradient = torch::autograd::grad({value}, {estimate})[0];
    const double norm = expected["grad_norm"].get<double>();
    EXPECT_NEAR(gradient.norm().item<double>(), norm, 1e-6 * norm);
    for (const auto& sample : expected["grad_samples"]) {
      const double got = gradient[0][sample[0].get<int64_t>()][sample[1].get<int64_t>()].item<double>();
      EXPECT_NEAR(got, sample[2].get<double>(), 1e-6 * std::abs(sample[2].get<double>()) + 1e-9);
    }
  }
  for (int64_t channel = 0; channel < 2; ++channel) {
    const auto& expected = fixture["log_spectral_distance"]["channel" + std::to_string(channel)];
    const auto estimate = stereo(degraded(channels));
    EXPECT_NEAR(log_spectral_distance_db(estimate[0][channel], reference[0][channel]), expected["lsd_db"].get<double>(),
                1e-6);
  }
}

}  // namespace melisma
