#include "data/signal/mel.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "tools/base/error.h"

namespace melisma {
namespace mel_detail {
namespace {

constexpr double kSlaneyHzPerMel = 200.0 / 3;
constexpr double kSlaneyKneeHz = 1000;
constexpr double kSlaneyKneeMel = kSlaneyKneeHz / kSlaneyHzPerMel;
const double kSlaneyLogStep = std::log(6.4) / 27;

double top_hz(const MelConfig& config) {
  return config.fmax > 0 ? config.fmax : static_cast<double>(config.sample_rate_hz) / 2;
}

void check(const MelConfig& config) {
  if (config.sample_rate_hz < 1 || config.n_fft < 2 || config.n_mels < 1 || config.fmin < 0 ||
      config.fmin >= top_hz(config)) {
    fail(ErrorKind::config, "mel filter bank: rate {} Hz, n_fft {}, {} bands from {} to {} Hz is not possible",
         config.sample_rate_hz, config.n_fft, config.n_mels, config.fmin, top_hz(config));
  }
}

// [n_mels + 2] corner frequencies in Hz, equally spaced in mel.
std::vector<double> corners(const MelConfig& config) {
  const auto low = hz_to_mel(config.fmin, config.htk), high = hz_to_mel(top_hz(config), config.htk);
  std::vector<double> hz(static_cast<std::size_t>(config.n_mels) + 2);
  const auto step = (high - low) / static_cast<double>(config.n_mels + 1);
  for (std::size_t i = 0; i < hz.size(); ++i) hz[i] = mel_to_hz(low + static_cast<double>(i) * step, config.htk);
  hz.back() = mel_to_hz(high, config.htk);
  return hz;
}

// [n_mels, bins] double
at::Tensor triangles(const MelConfig& config) {
  const auto bins = config.n_fft / 2 + 1;
  const auto hz = corners(config);
  auto bank = at::zeros({config.n_mels, bins}, at::kDouble);
  auto* row = bank.data_ptr<double>();
  for (std::int64_t m = 0; m < config.n_mels; ++m, row += bins) {
    const auto i = static_cast<std::size_t>(m);
    const auto area = config.slaney_norm ? 2 / (hz[i + 2] - hz[i]) : 1.0;
    for (std::int64_t k = 0; k < bins; ++k) {
      const auto f = static_cast<double>(k * config.sample_rate_hz) / static_cast<double>(config.n_fft);
      const auto rising = (f - hz[i]) / (hz[i + 1] - hz[i]);
      const auto falling = (hz[i + 2] - f) / (hz[i + 2] - hz[i + 1]);
      row[k] = std::max(0.0, std::min(rising, falling)) * area;
    }
  }
  return bank;
}

MelConfig bank_of(const VocoderMelConfig& config) {
  return {.sample_rate_hz = config.sample_rate_hz,
          .n_fft = config.n_fft,
          .n_mels = config.n_mels,
          .fmin = config.fmin,
          .fmax = config.fmax};
}

}  // namespace
}  // namespace mel_detail

double hz_to_mel(double hz, bool htk) {
  using namespace mel_detail;
  if (htk) return 2595 * std::log10(1 + hz / 700);
  return hz < kSlaneyKneeHz ? hz / kSlaneyHzPerMel : kSlaneyKneeMel + std::log(hz / kSlaneyKneeHz) / kSlaneyLogStep;
}

double mel_to_hz(double mel, bool htk) {
  using namespace mel_detail;
  if (htk) return 700 * (std::pow(10.0, mel / 2595) - 1);
  return mel < kSlaneyKneeMel ? mel * kSlaneyHzPerMel
                              : kSlaneyKneeHz * std::exp(kSlaneyLogStep * (mel - kSlaneyKneeMel));
}

at::Tensor mel_filterbank(const MelConfig& config, at::ScalarType dtype, at::Device device) {
  mel_detail::check(config);
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, double, double, bool, bool, at::ScalarType,
                         at::DeviceType, at::DeviceIndex>;
  static std::mutex mutex;
  static std::map<Key, at::Tensor> cache;
  const Key key{config.sample_rate_hz, config.n_fft, config.n_mels, config.fmin,   config.fmax, config.htk,
                config.slaney_norm,    dtype,        device.type(), device.index()};
  const std::lock_guard lock(mutex);
  auto& bank = cache[key];
  if (!bank.defined()) {
    const c10::InferenceMode normal_tensors(false);  // an inference tensor could not take part in a later backward
    const c10::NoGradGuard no_grad;
    bank = mel_detail::triangles(config).to(dtype).to(device);
  }
  return bank;
}

at::Tensor to_mel(const at::Tensor& spectrum, const MelConfig& config) {
  const auto bank = mel_filterbank(config, spectrum.scalar_type(), spectrum.device());
  if (spectrum.dim() < 2 || spectrum.size(-2) != bank.size(1)) {
    fail(ErrorKind::data, "mel: a spectrum of {} bins where n_fft {} has {}",
         spectrum.dim() < 2 ? 0 : spectrum.size(-2), config.n_fft, bank.size(1));
  }
  // The bins of stft lie innermost in memory: one matrix product over all frames of all signals.
  return at::matmul(spectrum.transpose(-1, -2), bank.t()).transpose(-1, -2);
}

at::Tensor power_to_db(const at::Tensor& power, std::optional<double> ref, double amin, std::optional<double> top_db) {
  auto db = 10 * at::log10(power.clamp_min(amin));
  db = ref ? db - 10 * std::log10(std::max(amin, *ref)) : db - 10 * at::log10(power.max().clamp_min(amin));
  return top_db ? at::maximum(db, db.max() - *top_db) : db;
}

at::Tensor linear_spectrogram(const at::Tensor& wave, const VocoderMelConfig& config) {
  return magnitude(
      stft(wave, {.n_fft = config.n_fft, .hop = config.hop, .window = config.window, .padding = Padding::vocoder}),
      1e-6);
}

at::Tensor log_mel_from_linear(const at::Tensor& spec, const VocoderMelConfig& config) {
  return to_mel(spec, mel_detail::bank_of(config)).clamp_min(1e-5).log();
}

at::Tensor log_mel(const at::Tensor& wave, const VocoderMelConfig& config) {
  return log_mel_from_linear(linear_spectrogram(wave, config), config);
}

}  // namespace melisma
