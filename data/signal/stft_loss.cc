#include "data/signal/stft_loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <map>
#include <mutex>

#include "data/signal/a_weighting.h"
#include "data/signal/mel.h"
#include "data/signal/stft.h"
#include "data/signal/stft_loss_kernels.h"
#include "tools/base/error.h"

namespace melisma {
namespace stft_losses {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A scalar whose gradient with respect to its one input is known already.
class WithGradient final : public torch::autograd::Function<WithGradient> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& value,
                            const at::Tensor& gradient) {
    (void)input;
    context->save_for_backward({gradient});
    return value.clone();
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (c10::GradMode::is_enabled()) {
      fail(ErrorKind::internal, "the float STFT loss has no second derivative; compute it in double");
    }
    return {context->get_saved_variables()[0] * gradients[0], at::Tensor(), at::Tensor()};
  }
};

const std::vector<double>& taps_at(int64_t sample_rate_hz) {
  static std::mutex mutex;
  static std::map<int64_t, std::vector<double>> cache;
  const std::lock_guard lock(mutex);
  auto& taps = cache[sample_rate_hz];
  if (taps.empty()) taps = a_weighting_taps(sample_rate_hz);
  return taps;
}

// wave [..., N] -> the same filtered, zeros around it
at::Tensor a_weighted(const at::Tensor& wave, int64_t sample_rate_hz) {
  const auto taps = at::tensor(taps_at(sample_rate_hz), wave.options()).view({1, 1, -1});
  return at::conv1d(wave.reshape({-1, 1, wave.size(-1)}), taps, {}, 1, taps.size(2) / 2).view(wave.sizes());
}

// Waves as the losses hear them, each weighting made once.
class Heard {
 public:
  explicit Heard(const at::Tensor& wave) : wave_(wave) {}
  const at::Tensor& as(const StftLossConfig& config) {
    if (!config.a_weighted) return wave_;
    auto& weighted = weighted_[config.sample_rate_hz];
    if (!weighted.defined()) weighted = a_weighted(wave_, config.sample_rate_hz);
    return weighted;
  }

 private:
  at::Tensor wave_;
  std::map<int64_t, at::Tensor> weighted_;
};

StftConfig transform_of(const StftLossConfig& config) {
  return {.n_fft = config.n_fft, .hop = config.hop, .window = config.window};
}

// wave [..., N] -> magnitudes [..., bins or bands, frames]
at::Tensor magnitudes_of(const at::Tensor& wave, const StftLossConfig& config) {
  const auto magnitudes = at::clamp_min(power(stft(wave, transform_of(config))), config.floor).sqrt();
  if (config.n_mels == 0) return magnitudes;
  return to_mel(magnitudes, {.sample_rate_hz = config.sample_rate_hz, .n_fft = config.n_fft, .n_mels = config.n_mels});
}

bool can_be_fused(const at::Tensor& reference, const StftLossConfig& config) {
  return reference.device().is_cpu() && reference.scalar_type() == at::kFloat && config.n_mels == 0 &&
         !config.squared && config.n_fft % 2 == 0 && !(reference.requires_grad() && c10::GradMode::is_enabled());
}

// wave [..., N] -> its spectrum [rows, frames, bins], and what the way back needs.
struct Analysed {
  at::Tensor spectrum, window;
  int64_t first = 0;  // of the window that is not zero
};

Analysed analyse(const at::Tensor& wave, const StftLossConfig& config) {
  const auto n = wave.size(-1);
  if (stft_frames(n, transform_of(config)) == 0) {
    fail(ErrorKind::data, "STFT loss: {} samples are too few for an FFT of {}; give more than {}", n, config.n_fft,
         config.n_fft / 2);
  }
  Analysed analysed{{}, stft_window(transform_of(config), at::kFloat), (config.n_fft - config.window) / 2};
  const auto frames =
      frames_of(wave.reshape({-1, n}).contiguous(), analysed.window, analysed.first, config.window, config.hop);
  analysed.spectrum = at::_fft_r2c(frames, {2}, 0, true);
  if (!analysed.spectrum.is_contiguous()) analysed.spectrum = analysed.spectrum.contiguous();
  return analysed;
}

// The loss of one resolution, and its gradient with respect to `heard` [..., N] if that asks for one.
at::Tensor fused_loss(const at::Tensor& heard, const StftLossConfig& config, const at::Tensor& target) {
  const bool wants_gradient = heard.requires_grad() && c10::GradMode::is_enabled();
  const auto wave = heard.detach();
  at::Tensor value, gradient;
  {
    const c10::NoGradGuard no_grad;
    const auto analysed = analyse(wave, config);
    const auto sums = spectral_sums(analysed.spectrum, target, config.floor);
    const auto n = static_cast<double>(target.numel());
    const double own = std::sqrt(sums.squares), whole = std::sqrt(sums.target_squares);
    value = at::scalar_tensor(config.convergence * own / whole + config.log_magnitude * sums.logs / n +
                                  config.magnitude * sums.magnitudes / n,
                              at::kFloat);
    if (!wants_gradient) return value;
    spectrum_to_gradient(analysed.spectrum, target, config.floor,
                         {.convergence = own > 0 ? config.convergence / (own * whole) : 0,
                          .log = config.log_magnitude / n,
                          .linear = config.magnitude / n});
    const auto frames = at::_fft_c2r(analysed.spectrum, {2}, 0, config.n_fft);
    gradient =
        frames_to_wave(frames.contiguous(), analysed.window, analysed.first, config.window, config.hop, wave.size(-1))
            .reshape(wave.sizes());
  }
  return WithGradient::apply(heard, value, gradient);
}

at::Tensor mean_distance(const at::Tensor& a, const at::Tensor& b, bool squared) {
  const auto difference = a - b;
  return squared ? difference.square().mean() : difference.abs().mean();
}

at::Tensor plain_loss(const at::Tensor& heard, const StftLossConfig& config, const at::Tensor& y) {
  const auto x = magnitudes_of(heard, config);
  auto loss = at::zeros({}, x.options());
  if (config.convergence != 0) loss = loss + config.convergence * (y - x).norm() / y.norm();
  if (config.log_magnitude != 0) {
    loss = loss + config.log_magnitude * mean_distance(x.log(), y.log(), config.squared);
  }
  if (config.magnitude != 0) loss = loss + config.magnitude * mean_distance(x, y, config.squared);
  return loss;
}

}  // namespace
}  // namespace stft_losses

StftTarget::StftTarget(const at::Tensor& reference, std::vector<StftLossConfig> configs)
    : shape_(reference.sizes().vec()) {
  if (configs.empty()) fail(ErrorKind::internal, "STFT losses: no resolution given");
  stft_losses::Heard heard(reference);
  for (auto& config : configs) {
    Resolution resolution{config, stft_losses::can_be_fused(reference, config), {}};
    const auto& wave = heard.as(config);
    resolution.magnitudes = resolution.is_fused
                                ? floored_magnitudes(stft_losses::analyse(wave, config).spectrum, config.floor)
                                : stft_losses::magnitudes_of(wave, config);
    resolutions_.push_back(std::move(resolution));
  }
}

at::Tensor StftTarget::loss(const at::Tensor& estimate) const {
  if (estimate.sizes() != at::IntArrayRef(shape_)) {
    fail(ErrorKind::internal, "STFT losses: the estimate's shape is not the reference's");
  }
  stft_losses::Heard heard(estimate);
  at::Tensor sum;
  for (const auto& resolution : resolutions_) {
    const auto& wave = heard.as(resolution.config);
    const bool is_fused = resolution.is_fused && estimate.scalar_type() == at::kFloat;
    const auto loss = is_fused ? stft_losses::fused_loss(wave, resolution.config, resolution.magnitudes)
                               : stft_losses::plain_loss(wave, resolution.config, resolution.magnitudes);
    sum = sum.defined() ? sum + loss : loss;
  }
  return resolutions_.size() == 1 ? sum : sum / static_cast<double>(resolutions_.size());
}

at::Tensor stft_loss(const at::Tensor& estimate, const at::Tensor& reference, const StftLossConfig& config) {
  return StftTarget(reference, {config}).loss(estimate);
}

std::vector<StftLossConfig> multi_resolution_configs() {
  return {{.n_fft = 1024, .hop = 120, .window = 600},
          {.n_fft = 2048, .hop = 240, .window = 1200},
          {.n_fft = 512, .hop = 50, .window = 240}};
}

std::vector<StftLossConfig> music_stft_configs(int64_t sample_rate_hz) {
  std::vector<StftLossConfig> configs;
  for (const int64_t n_fft : {1024, 2048, 8192}) {
    configs.push_back({.n_fft = n_fft,
                       .hop = n_fft / 4,
                       .window = n_fft,
                       .n_mels = 128,
                       .sample_rate_hz = sample_rate_hz,
                       .a_weighted = true});
  }
  return configs;
}

std::vector<StftLossConfig> mixing_stft_configs() {
  std::vector<StftLossConfig> configs;
  for (const int64_t n_fft : {512, 2048, 8192}) {
    configs.push_back({.n_fft = n_fft, .hop = n_fft / 2, .window = n_fft, .convergence = 0, .magnitude = 1});
  }
  return configs;
}

at::Tensor multi_resolution_stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                      const std::vector<StftLossConfig>& configs) {
  return StftTarget(reference, configs).loss(estimate);
}

at::Tensor sum_and_difference(const at::Tensor& stereo) {
  const auto left = stereo.select(-2, 0), right = stereo.select(-2, 1);
  return at::stack({left + right, left - right}, -2);
}

at::Tensor sum_difference_stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                    const std::vector<StftLossConfig>& configs) {
  // Apart: the convergence term has one norm for each.
  const auto x = sum_and_difference(estimate), y = sum_and_difference(reference);
  return .5 * (multi_resolution_stft_loss(x.select(-2, 0), y.select(-2, 0), configs) +
               multi_resolution_stft_loss(x.select(-2, 1), y.select(-2, 1), configs));
}

}  // namespace melisma
