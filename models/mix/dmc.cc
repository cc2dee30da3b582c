#include "models/mix/dmc.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>
#include <numeric>
#include <string>

#include "data/signal/mel.h"
#include "models/mix/spectrogram_encoder.h"
#include "tools/base/error.h"

namespace melisma {
namespace dmc_detail {
namespace {

constexpr std::int64_t kRateHz = 16000, kFft = 512, kHop = 256, kBands = 128;
constexpr double kTopHz = 8000;
constexpr double kLowestDb = -48, kRangeDb = 72;
constexpr double kDropout = .2;
constexpr int kBlocks = 7;

// Phases of the resampling filter [to, 1, taps], rates without common factor; `width` zero samples go before.
at::Tensor resampling_taps(std::int64_t from, std::int64_t to, std::int64_t& width) {
  constexpr double kZeros = 6, kRollOff = .99;
  const double base = static_cast<double>(std::min(from, to)) * kRollOff;
  width = static_cast<std::int64_t>(std::ceil(kZeros * static_cast<double>(from) / base));
  const auto n_taps = 2 * width + from;
  auto taps = at::empty({to, 1, n_taps}, at::kDouble);
  auto* out = taps.data_ptr<double>();
  for (std::int64_t phase = 0; phase < to; ++phase) {
    for (std::int64_t tap = 0; tap < n_taps; ++tap) {
      double t = static_cast<double>(tap - width) / static_cast<double>(from) -
                 static_cast<double>(phase) / static_cast<double>(to);
      t = std::clamp(t * base, -kZeros, kZeros);
      const double window = std::cos(t * std::numbers::pi / kZeros / 2);
      const double angle = t * std::numbers::pi;
      *out++ = (angle == 0 ? 1 : std::sin(angle) / angle) * window * window * base / static_cast<double>(from);
    }
  }
  return taps;
}

// tracks [B, T, N] mirrored by `margin` at both ends.
at::Tensor mirrored(const at::Tensor& tracks, std::int64_t margin) {
  return at::reflection_pad1d(tracks, {margin, margin});
}

}  // namespace
}  // namespace dmc_detail

at::Tensor sinc_resampled(const at::Tensor& wave, std::int64_t from_hz, std::int64_t to_hz) {
  if (from_hz == to_hz) return wave;
  const auto common = std::gcd(from_hz, to_hz), from = from_hz / common, to = to_hz / common;
  std::int64_t width = 0;
  const auto taps = dmc_detail::resampling_taps(from, to, width).to(wave.options());
  const auto padded = at::constant_pad_nd(wave, {width, width + from}).unsqueeze(1);
  const auto phases = at::conv1d(padded, taps, {}, from);  // [R, to, steps]
  const auto n = (wave.size(1) * to + from - 1) / from;
  return phases.transpose(1, 2).reshape({wave.size(0), -1}).narrow(1, 0, n);
}

DmcBlock::DmcBlock(std::int64_t in, std::int64_t out)
    : conv_1_(in, out, three_by_three(2)),
      bn_1_(out),
      conv_2_(out, out, three_by_three(1)),
      bn_2_(out),
      conv_3_(in, out, three_by_three(2)),
      bn_3_(out) {
  child("conv_1", conv_1_);
  child("bn_1", bn_1_);
  child("conv_2", conv_2_);
  child("bn_2", bn_2_);
  child("conv_3", conv_3_);
  child("bn_3", bn_3_);
}

at::Tensor DmcBlock::operator()(const at::Tensor& x) const {
  return at::relu(bn_2_(conv_2_(at::relu(bn_1_(conv_1_(x))))) + bn_3_(conv_3_(x)));
}

DmcEncoder::DmcEncoder(std::int64_t sample_rate_hz, std::int64_t channels, std::int64_t classes)
    : sample_rate_hz_(sample_rate_hz), spec_bn_(1) {
  child("spec_bn", spec_bn_);
  const std::int64_t widths[] = {
      1, channels, channels, 2 * channels, 2 * channels, 2 * channels, 2 * channels, 4 * channels};
  for (int i = 0; i < dmc_detail::kBlocks; ++i) {
    layers_.push_back(make_child<DmcBlock>("layer" + std::to_string(i + 1), widths[i], widths[i + 1]));
  }
  dense1_ = make_child<Linear>("dense1", 4 * channels, 4 * channels);
  bn_ = make_child<BatchNorm>("bn", 4 * channels);
  dense2_ = make_child<Linear>("dense2", 4 * channels, classes);
}

at::Tensor DmcEncoder::mel_db(const at::Tensor& wave) const {
  using namespace dmc_detail;
  const auto spectrum =
      stft(sinc_resampled(wave, sample_rate_hz_, kRateHz), {.n_fft = kFft, .hop = kHop, .window = kFft});
  const MelConfig bank{
      .sample_rate_hz = kRateHz, .n_fft = kFft, .n_mels = kBands, .fmax = kTopHz, .htk = true, .slaney_norm = false};
  return power_to_db(to_mel(power(spectrum), bank), 1.0, 1e-10, std::nullopt);
}

at::Tensor DmcEncoder::operator()(const at::Tensor& wave) const {
  auto x = spec_bn_(mel_db(wave).unsqueeze(1));
  for (const auto& layer : layers_) x = (*layer)(x);
  return at::relu((*dense1_)(x.squeeze(2).amax({-1})));
}

DmcHead::Layers::Layers(std::int64_t in, std::int64_t out) : first(in, 256), second(256, 256), third(256, out) {
  child("0", first);
  child("2", first_slope);
  child("3", second);
  child("5", second_slope);
  child("6", third);
}

DmcHead::DmcHead(std::int64_t in, std::int64_t out) : mlp_(in, out) { child("mlp", mlp_); }

at::Tensor DmcHead::operator()(const at::Tensor& x) const {
  using dmc_detail::kDropout;
  const auto hidden = mlp_.first_slope(dropout(mlp_.first(x), kDropout));
  return at::sigmoid(mlp_.third(mlp_.second_slope(dropout(mlp_.second(hidden), kDropout))));
}

Dmc::Dmc(std::int64_t sample_rate_hz, std::int64_t channels, std::int64_t classes)
    : sample_rate_hz_(sample_rate_hz), encoder_(sample_rate_hz, channels, classes), post_processor_(8 * channels, 2) {
  child("encoder", encoder_);
  child("post_processor", post_processor_);
}

at::Tensor Dmc::embed(const at::Tensor& tracks) const {
  const auto b = tracks.size(0), t = tracks.size(1);
  return encoder_(tracks.reshape({b * t, tracks.size(2)})).view({b, t, -1});
}

at::Tensor Dmc::gains_and_pans(const MixInput& input) const {
  const auto embedded = embed(input.tracks);
  const auto present =
      input.present.defined() ? input.present : at::ones({embedded.size(0), embedded.size(1)}, at::kBool);
  const auto weights = present.to(embedded.options()).unsqueeze(-1);
  const auto mean = (embedded * weights).sum(1, true) / weights.sum(1, true).clamp_min(1);
  const auto parts = post_processor_(at::cat({embedded, mean.expand_as(embedded)}, -1));
  return at::stack({parts.select(-1, 0) * dmc_detail::kRangeDb + dmc_detail::kLowestDb, parts.select(-1, 1)}, -1);
}

at::Tensor Dmc::mixed(const at::Tensor& tracks, const at::Tensor& gains_and_pans, const at::Tensor& present) {
  const auto levelled = fade(tracks, gains_and_pans.select(-1, 0));
  auto panned = pan_to_stereo(levelled, gains_and_pans.select(-1, 1), PanLaw::constant_power);  // [B, T, 2, N]
  if (present.defined()) panned = panned * present.to(panned.options()).unsqueeze(-1).unsqueeze(-1);
  return panned.sum(1);
}

ConsoleControls Dmc::predict(const MixInput& input) const {
  const auto found = gains_and_pans(input);
  auto controls = neutral_controls(found.size(0), found.size(1), sample_rate_hz_);
  const auto& fader = kTrackParameters[0];
  const auto tracks = controls.tracks.to(found.options());
  const auto gain = (found.select(-1, 0) - fader.low) / (fader.high - fader.low);
  controls.tracks = at::cat({gain.unsqueeze(-1), tracks.narrow(-1, 1, kTrackPan - 1), found.select(-1, 1).unsqueeze(-1),
                             tracks.narrow(-1, kTrackSend, 1)},
                            -1);
  controls.master = controls.master.to(found.options());
  return controls;
}

MadeMix Dmc::mix(const MixInput& input) const {
  const auto controls = predict(input);
  const auto values = console_values(controls.tracks, kTrackParameters, sample_rate_hz_);
  const auto found = at::stack({values.select(-1, 0), values.select(-1, kTrackPan)}, -1);
  return {mixed(input.tracks, found, input.present), controls};
}

at::Tensor Dmc::mix_in_blocks(const at::Tensor& tracks, std::int64_t block, std::int64_t hop) const {
  const auto n = tracks.size(2);
  const auto padded = dmc_detail::mirrored(tracks, block / 2);
  const auto window = at::hann_window(block, tracks.options());
  auto whole = at::zeros({tracks.size(0), 2, padded.size(2)}, tracks.options());
  for (std::int64_t first = 0; first + block <= padded.size(2); first += hop) {
    const auto part = padded.narrow(2, first, block);
    const auto made = mixed(part, gains_and_pans({.tracks = part}), {});
    whole.narrow(2, first, block).add_(made * window);
  }
  return whole.narrow(2, block / 2, n);
}

std::unique_ptr<MixModel> make_dmc(const MixModelConfig& config) {
  return std::make_unique<Dmc>(config.sample_rate_hz, config.channels);
}

}  // namespace melisma
