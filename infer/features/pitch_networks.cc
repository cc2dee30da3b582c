// The pitch methods that are networks: their settings, weights and front ends put together.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "data/signal/thread_limit.h"
#include "data/signal/weighted_loudness.h"
#include "infer/features/pitch.h"
#include "models/pitch/crepe_decoder.h"
#include "models/pitch/pitch_files.h"
#include "models/pitch/salience.h"
#include "tools/base/error.h"

namespace melisma {
namespace pitch_networks_detail {
namespace {

// The file of the weights: the one named, and where that is not the one features were made with, any in the folder of
// weights that is.
std::filesystem::path file_of_weights(const std::string& weights, const std::string& sha256) {
  if (sha256.empty()) return find_weights(weights);
  std::string found = "is not there";
  try {
    const auto path = find_weights(weights);
    if (sha256_of_weights(path) == sha256) return path;
    found = "has " + sha256_of_weights(path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::checkpoint) throw;
  }
  if (auto known = weights_with_sha256(sha256)) return *known;
  fail(ErrorKind::checkpoint,
       "the pitch is to be found with weights of SHA-256 {}, but '{}' {}; put the file it was made with into '{}'",
       sha256, weights, found, weights_folder().string());
}

// Samples that are no numbers are silence.
std::vector<float> finite_samples(std::span<const float> wave) {
  std::vector<float> samples(wave.begin(), wave.end());
  for (auto& sample : samples) sample = std::isfinite(sample) ? sample : 0;
  return samples;
}

void append(std::vector<float>& values, const at::Tensor& piece) {
  const auto rows = piece.contiguous();
  values.insert(values.end(), rows.const_data_ptr<float>(), rows.const_data_ptr<float>() + rows.numel());
}

// These networks hear the whole range: what they hear outside of it is no voice.
void append_within_range(const std::vector<double>& found, const PitchConfig& config, std::vector<float>& f0) {
  for (const auto hz : found) {
    f0.push_back(hz >= config.fmin_hz && hz <= config.fmax_hz ? static_cast<float>(hz) : 0);
  }
}

CrepeDecoder crepe_decoder(const std::string& name) {
  return name == "viterbi" ? CrepeDecoder::viterbi
                           : (name == "argmax" ? CrepeDecoder::argmax : CrepeDecoder::weighted_argmax);
}

std::vector<float> by_crepe(std::span<const float> wave_16k, const PitchConfig& config, const CrepeSettings& settings,
                            int threads) {
  const auto n_frames = wave_16k.size() / kFeatureHopSamples;
  if (n_frames == 0) return {};
  const c10::InferenceMode inference;
  const ThreadLimit limit(threads);
  const auto network = load_crepe(file_of_weights(settings.weights, settings.weights_sha256));
  const auto wave = finite_samples(wave_16k);
  const auto track =
      decode_crepe(network->listen(wave), crepe_decoder(settings.decoder), config.fmin_hz, config.fmax_hz);
  const auto periodicity = median_filter(track.periodicity, settings.median_frames);
  auto f0 = mean_filter(track.hz, settings.mean_frames);
  std::vector<float> loudness_db;
  if (settings.silence_db > kCrepeNoSilenceDb) loudness_db = a_weighted_loudness_db(wave);
  for (std::size_t t = 0; t < f0.size(); ++t) {
    const bool is_silent = !loudness_db.empty() && loudness_db[t] < settings.silence_db;
    if (is_silent || !(periodicity[t] >= static_cast<float>(settings.threshold)) || std::isnan(f0[t])) f0[t] = 0;
  }
  f0.resize(n_frames);
  return f0;
}

}  // namespace
}  // namespace pitch_networks_detail

std::vector<float> pitch_by_rmvpe(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  using namespace pitch_networks_detail;
  const auto n_frames = wave_16k.size() / kFeatureHopSamples;
  if (n_frames == 0) return {};
  const c10::InferenceMode inference;
  const ThreadLimit limit(threads);
  const auto network = load_rmvpe(file_of_weights(config.rmvpe.weights, config.rmvpe.weights_sha256));
  std::vector<float> f0;
  network->listen(finite_samples(wave_16k), {}, [&](const at::Tensor& piece) {
    std::vector<float> salience;
    append(salience, piece);
    append_within_range(decode_rmvpe(salience, config.rmvpe.threshold), config, f0);
  });
  f0.resize(n_frames);
  return f0;
}

std::vector<float> pitch_by_crepe(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  return pitch_networks_detail::by_crepe(wave_16k, config, config.crepe, threads);
}

std::vector<float> pitch_by_crepe_tiny(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  return pitch_networks_detail::by_crepe(wave_16k, config, config.crepe_tiny, threads);
}

std::vector<float> pitch_by_fcpe(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  using namespace pitch_networks_detail;
  const auto n_frames = wave_16k.size() / kFeatureHopSamples;
  if (n_frames == 0) return {};
  const c10::InferenceMode inference;
  const ThreadLimit limit(threads);
  const auto network = load_fcpe(file_of_weights(config.fcpe.weights, config.fcpe.weights_sha256));
  const auto decoder = config.fcpe.decoder == "argmax" ? FcpeDecoder::argmax : FcpeDecoder::local_argmax;
  std::vector<float> f0;
  network->listen(finite_samples(wave_16k), [&](const at::Tensor& piece) {
    std::vector<float> probabilities;
    append(probabilities, piece);
    append_within_range(decode_fcpe(probabilities, network->bin_cents(), decoder, config.fcpe.threshold), config, f0);
  });
  f0.resize(n_frames);
  return f0;
}

}  // namespace melisma
