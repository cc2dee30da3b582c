// Ratios, pitch comparisons, cepstra and spectral losses against the fixtures of golden/metrics.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "data/audio/loudness.h"
#include "data/signal/stft_loss.h"
#include "eval/metrics/mel_cepstrum.h"
#include "eval/metrics/pitch_metrics.h"
#include "eval/metrics/ratios.h"
#include "eval/metrics/spectral.h"
#include "eval/metrics/stereo.h"
#include "eval/statistics/quantile.h"
#include "tests/eval/metrics/stems.h"
#include "tests/support/degraded.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {

using testing::degraded;
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

Cepstra cepstra_of(const testing::GoldenTensor& tensor) { return {tensor.values, tensor.shape[0], tensor.shape[1]}; }

}  // namespace

TEST(GoldenMetrics, SignalRatios) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "separation.json");
  const auto stems = testing::render_stems(fixture);
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

TEST(GoldenMetrics, DistancesOfOneChannel) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "spectral.json");
  const auto channels = testing::render_recipe(fixture["signal"]);
  const auto reference = stereo(channels), estimate = stereo(degraded(channels));
  const StftLossConfig shape{.n_fft = 2048, .hop = 512, .window = 2048, .floor = 1e-10};
  for (int64_t channel = 0; channel < 2; ++channel) {
    const auto& expected = fixture["log_spectral_distance"]["channel" + std::to_string(channel)];
    const auto x = estimate[0][channel], y = reference[0][channel];
    auto convergence = shape, log_magnitude = shape;
    convergence.log_magnitude = log_magnitude.convergence = 0;
    const auto near = [&](const char* key, double got) { EXPECT_NEAR(got, expected[key].get<double>(), 1e-6) << key; };
    near("lsd_db", log_spectral_distance_db(x, y));
    near("lsd_log10_power", log_spectral_distance_db(x, y) / 10);
    near("spectral_convergence", stft_loss(x, y, convergence).item<double>());
    near("log_mag_l1", stft_loss(x, y, log_magnitude).item<double>());
  }
}

TEST(GoldenMetrics, DistancesInTime) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "spectral.json");
  const auto reference = testing::render_recipe(fixture["signal"]), estimate = degraded(reference);
  const auto mean_over_channels = [&](const std::function<double(std::size_t)>& measure) {
    return (measure(0) + measure(1)) / 2;
  };
  const auto near = [&](const char* key, double got) {
    const double expected = fixture["losses"][key]["value"].get<double>();
    EXPECT_NEAR(got, expected, 1e-7 * std::abs(expected)) << key;
  };
  // auraloss negates ratios to make losses of them, and means are taken out of each channel.
  near("time_si_sdr_loss", -mean_over_channels([&](auto c) { return si_sdr_db(reference[c], estimate[c], true); }));
  near("time_sd_sdr_loss", -mean_over_channels([&](auto c) { return sd_sdr_db(reference[c], estimate[c], true); }));
  near("time_esr", mean_over_channels([&](auto c) { return std::pow(10, -sdr_db(reference[c], estimate[c]) / 10); }));
}

TEST(GoldenMetrics, LoudnessAndStereoImage) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "spectral.json");
  const auto reference = testing::render_recipe(fixture["signal"]);
  for (const auto& [name, channels] :
       {std::pair<std::string, decltype(reference)>{"reference", reference}, {"estimate", degraded(reference)}}) {
    SCOPED_TRACE(name);
    const auto& expected = fixture["stereo_" + name];
    const auto near = [&](const char* key, double got) { EXPECT_NEAR(got, expected[key].get<double>(), 1e-9) << key; };
    const auto image = stereo_image(channels[0], channels[1]);
    near("stereo_width", image.width);
    near("mid_side_db", image.mid_side_db);
    near("stereo_imbalance", image.imbalance);
    near("correlation", image.correlation);
    near("rms_left", rms(channels[0]));
    near("rms_right", rms(channels[1]));
    near("crest_left_db", crest_db(channels[0]));
    std::vector<double> interleaved;
    for (std::size_t n = 0; n < channels[0].size(); ++n) {
      interleaved.insert(interleaved.end(), {channels[0][n], channels[1][n]});
    }
    LoudnessMeter meter(44100, 2);
    meter.add_interleaved(interleaved);
    EXPECT_NEAR(meter.integrated_lufs(), fixture["lufs"][name].get<double>(), 1e-6);
  }
}

TEST(GoldenMetrics, CorpusAveragesOfSeparation) {
  if (!has_metrics()) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = load_json(golden_folder("metrics") / "separation.json");
  const auto stems = testing::render_stems(fixture);
  const auto& corpus = fixture["corpus"];
  ASSERT_FALSE(corpus["songs"].empty());
  for (std::size_t i = 0; i < 4; ++i) {
    std::vector<double> of_songs, of_chunks;
    for (const auto& song : corpus["songs"]) {
      const auto begin = song["range"][0].get<int64_t>(), end = song["range"][1].get<int64_t>();
      std::vector<double> truth, made;
      for (std::size_t channel = 0; channel < 2; ++channel) {
        for (auto n = static_cast<std::size_t>(begin); n < static_cast<std::size_t>(end); ++n) {
          const double s = stems.references[i][channel][n], e = stems.estimates[i][channel][n];
          truth.push_back(s);
          made.push_back(s + song["error_scale"].get<double>() * (e - s));
        }
      }
      of_songs.push_back(sdr_db(truth, made, 1e-7));
      of_chunks.push_back(median(frame_sdr_db(truth, made, 2, 8000)));
      EXPECT_NEAR(of_songs.back(), song["uSDR"][i].get<double>(), 1e-6);
      EXPECT_NEAR(of_chunks.back(), song["cSDR"][i].get<double>(), 1e-6);
    }
    EXPECT_NEAR(mean(of_songs), corpus["uSDR_mean_over_songs"][i].get<double>(), 1e-6);
    EXPECT_NEAR(median(of_chunks), corpus["cSDR_median_over_songs"][i].get<double>(), 1e-6);
  }
}

}  // namespace melisma
