#include "data/signal/stft.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include <map>
#include <mutex>
#include <tuple>

#include "tools/base/error.h"

namespace melisma {
namespace stft_detail {
namespace {

std::int64_t padding_samples(const StftConfig& config) {
  switch (config.padding) {
    case Padding::none:
      return 0;
    case Padding::vocoder:
      return (config.n_fft - config.hop) / 2;
    default:
      return config.n_fft / 2;
  }
}

void check(const StftConfig& config) {
  if (config.n_fft < 2 || config.hop < 1 || config.window < 1 || config.window > config.n_fft) {
    fail(ErrorKind::config, "stft: n_fft {}, hop {}, window {} do not fit: need 1 <= window <= n_fft and hop >= 1",
         config.n_fft, config.hop, config.window);
  }
}

// wave [..., n] -> [..., n + 2 pad]
at::Tensor pad(const at::Tensor& wave, const StftConfig& config) {
  const auto n = padding_samples(config);
  if (n == 0) return wave;
  if (config.padding == Padding::centre_zeros) return at::constant_pad_nd(wave, {n, n});
  if (wave.size(-1) <= n) {
    fail(ErrorKind::data, "stft: {} samples are too few to mirror {} at each end (n_fft {}); give at least {}",
         wave.size(-1), n, config.n_fft, n + 1);
  }
  const auto rows = wave.reshape({-1, wave.size(-1)});  // [rows, n]: reflection_pad1d wants two or three dimensions
  auto sizes = wave.sizes().vec();
  sizes.back() += 2 * n;
  return at::reflection_pad1d(rows, {n, n}).view(sizes);
}

// Frames added up where they overlap: [..., frames, n_fft] -> [..., (frames-1)*hop + n_fft]
at::Tensor overlap_add(const at::Tensor& frames, const StftConfig& config) {
  auto sizes = frames.sizes().vec();
  sizes.pop_back();
  sizes.back() = (frames.size(-2) - 1) * config.hop + config.n_fft;
  return at::unfold_backward(frames, sizes, static_cast<std::int64_t>(sizes.size()) - 1, config.n_fft, config.hop);
}

}  // namespace
}  // namespace stft_detail

std::int64_t stft_frames(std::int64_t n_samples, const StftConfig& config) {
  stft_detail::check(config);
  const auto n = stft_detail::padding_samples(config);
  const bool mirrored = config.padding == Padding::centre_reflect || config.padding == Padding::vocoder;
  const auto padded = n_samples + 2 * n;
  if (padded < config.n_fft || (mirrored && n > 0 && n_samples <= n)) return 0;
  return (padded - config.n_fft) / config.hop + 1;
}

at::Tensor stft_window(const StftConfig& config, at::ScalarType dtype, at::Device device) {
  stft_detail::check(config);
  using Key = std::tuple<std::int64_t, std::int64_t, at::ScalarType, at::DeviceType, at::DeviceIndex>;
  static std::mutex mutex;
  static std::map<Key, at::Tensor> cache;
  const Key key{config.n_fft, config.window, dtype, device.type(), device.index()};
  const std::lock_guard lock(mutex);
  auto& window = cache[key];
  if (!window.defined()) {
    const c10::InferenceMode normal_tensors(false);  // an inference tensor could not take part in a later backward
    const c10::NoGradGuard no_grad;
    const auto left = (config.n_fft - config.window) / 2;
    const auto hann = at::hann_window(config.window, at::TensorOptions().dtype(at::kDouble));
    window = at::constant_pad_nd(hann, {left, config.n_fft - config.window - left}).to(dtype).to(device);
  }
  return window;
}

at::Tensor windowed_frames(const at::Tensor& wave, const StftConfig& config) {
  stft_detail::check(config);
  const auto padded = stft_detail::pad(wave, config);  // [..., n + 2 pad]
  if (padded.size(-1) < config.n_fft) {
    fail(ErrorKind::data, "stft: {} samples do not fill one frame of {}", wave.size(-1), config.n_fft);
  }
  const auto window = stft_window(config, wave.scalar_type(), wave.device());
  return padded.unfold(-1, config.n_fft, config.hop) * window;
}

at::Tensor stft(const at::Tensor& wave, const StftConfig& config) {
  const auto frames = windowed_frames(wave, config);  // [..., frames, n_fft]
  const auto norm = config.normalized ? std::optional<c10::string_view>("ortho") : std::nullopt;
  return at::fft_rfft(frames, std::nullopt, -1, norm).transpose(-1, -2);
}

at::Tensor istft(const at::Tensor& spectrum, const StftConfig& config, std::int64_t length) {
  stft_detail::check(config);
  if (!spectrum.is_complex() || spectrum.dim() < 2 || spectrum.size(-2) != config.n_fft / 2 + 1 ||
      spectrum.size(-1) < 1) {
    fail(ErrorKind::data, "istft: expected a complex [..., {}, frames], got {} bins", config.n_fft / 2 + 1,
         spectrum.dim() < 2 ? 0 : spectrum.size(-2));
  }
  const auto dtype = at::toRealValueType(spectrum.scalar_type());
  const auto window = stft_window(config, dtype, spectrum.device());
  const auto norm = config.normalized ? std::optional<c10::string_view>("ortho") : std::nullopt;
  const auto frames = at::fft_irfft(spectrum.transpose(-1, -2), config.n_fft, -1, norm) * window;  // [..., frames, n]
  const auto sum = stft_detail::overlap_add(frames, config);
  const auto weights = stft_detail::overlap_add(window.square().expand({frames.size(-2), config.n_fft}), config);
  const auto reached = weights > 1e-11;
  const auto wave = at::where(reached, sum / at::where(reached, weights, at::ones_like(weights)), at::zeros_like(sum));
  const auto first = stft_detail::padding_samples(config);
  if (length == 0) length = wave.size(-1) - 2 * first;
  const auto covered = std::min(length, wave.size(-1) - first);
  const auto cut = wave.narrow(-1, first, covered);
  return covered == length ? cut : at::constant_pad_nd(cut, {0, length - covered});
}

at::Tensor power(const at::Tensor& spectrum, double eps) {
  const auto parts = at::view_as_real(spectrum);
  const auto re = parts.select(-1, 0), im = parts.select(-1, 1);
  auto squares = at::addcmul(re.square(), im, im);
  return eps == 0 ? squares : squares + eps;
}

at::Tensor magnitude(const at::Tensor& spectrum, double eps) { return power(spectrum, eps).sqrt(); }

}  // namespace melisma
