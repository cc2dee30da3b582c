#include "models/mix/effects.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "tools/base/error.h"

namespace melisma {
namespace mix_effects {
namespace {

constexpr double kSilence = 1e-8;  // what the compressor hears at least

at::Tensor column(const at::Tensor& settings, std::int64_t index) { return settings.select(-1, index).unsqueeze(-1); }

// Half the angle of each bin of a transform of `points`, [points / 2 + 1] from 0 to pi/2.
at::Tensor half_angles(std::int64_t points, const at::TensorOptions& options) {
  return at::arange(points / 2 + 1, options.dtype(at::kDouble)) * (std::numbers::pi / static_cast<double>(points));
}

// x [..., N] times response [..., bins] in frequency -> [..., N]
at::Tensor filtered(const at::Tensor& x, const at::Tensor& response, std::int64_t points) {
  return at::fft_irfft(at::fft_rfft(x, points) * response, points).narrow(-1, 0, x.size(-1));
}

// First-order smoothing with its end and its gain kept exact near 0 Hz: decay [..., 1] -> complex [..., bins].
at::Tensor smoothing_response(const at::Tensor& decay, std::int64_t points) {
  const auto half = half_angles(points, decay.options());
  const auto rise = (2 * half.sin().square()).to(decay.scalar_type());  // 1 - cos w
  const auto sine = (2 * half).sin().to(decay.scalar_type());
  const auto one_less = -at::expm1(decay.log());  // 1 - decay
  // (1 - d) / (1 - d cos w + i d sin w)
  return one_less / at::complex(one_less + decay * rise, decay * sine);
}

}  // namespace
}  // namespace mix_effects

at::Tensor factor_of_db(const at::Tensor& db) { return at::exp(db * (std::numbers::ln10 / 20)); }

at::Tensor fade(const at::Tensor& x, const at::Tensor& gain_db) { return x * factor_of_db(gain_db).unsqueeze(-1); }

at::Tensor pan_factors(const at::Tensor& pan, PanLaw law) {
  const auto theta = pan * (std::numbers::pi / 2);
  if (law == PanLaw::constant_power) return at::stack({theta.cos(), theta.sin()}, -1);
  const auto products = at::stack({(1 - pan) * theta.cos(), pan * theta.sin()}, -1);
  const auto is_silent = products <= 0;
  return at::where(is_silent, at::zeros_like(products), at::where(is_silent, at::ones_like(products), products).sqrt());
}

at::Tensor pan_to_stereo(const at::Tensor& x, const at::Tensor& pan, PanLaw law) {
  return x.unsqueeze(-2) * pan_factors(pan, law).unsqueeze(-1);
}

std::int64_t filtering_points(std::int64_t n) {
  std::int64_t points = 1;
  while (points < 2 * n - 1) points *= 2;
  return points;
}

at::Tensor equalizer_response(EqualizerBand band, const at::Tensor& gain_db, const at::Tensor& frequency_hz,
                              const at::Tensor& q, double sample_rate_hz, std::int64_t points) {
  // H(s) of the prototype at s = j tan(w/2) / k, both sides of the fraction multiplied by (k cos(w/2))^2.
  const auto half = mix_effects::half_angles(points, gain_db.options());
  const auto type = gain_db.scalar_type();
  const auto sine = half.sin(), cosine = half.cos();
  const auto square_of_sine = sine.square().to(type), square_of_cosine = cosine.square().to(type);
  const auto product = (sine * cosine).to(type);
  const auto a = at::exp(gain_db * (std::numbers::ln10 / 40)).unsqueeze(-1);  // root of the gain
  const auto k = at::tan(frequency_hz * (std::numbers::pi / sample_rate_hz)).unsqueeze(-1);
  const auto width = k / q.unsqueeze(-1);
  const auto constant = k.square() * square_of_cosine;
  const auto fraction = [&](const at::Tensor& real, const at::Tensor& imaginary, const at::Tensor& under_real,
                            const at::Tensor& under_imaginary) {
    return at::complex(real, imaginary * product) / at::complex(under_real, under_imaginary * product);
  };
  if (band == EqualizerBand::peak) {
    const auto real = constant - square_of_sine;
    return fraction(real, a * width, real, width / a);
  }
  const auto root = a.sqrt() * width;
  const auto narrow = constant - a * square_of_sine, wide = a * constant - square_of_sine;
  return band == EqualizerBand::low_shelf ? fraction(a * wide, a * root, narrow, root)
                                          : fraction(a * narrow, a * root, wide, root);
}

at::Tensor equalize(const at::Tensor& x, const at::Tensor& bands, double sample_rate_hz) {
  if (bands.size(-1) != 18) {
    fail(ErrorKind::internal, "equalize: 6 bands of 3 numbers are 18, not {}", bands.size(-1));
  }
  const auto points = filtering_points(x.size(-1));
  at::Tensor response;
  for (std::int64_t band = 0; band < 6; ++band) {
    const auto kind = band == 0   ? EqualizerBand::low_shelf
                      : band == 5 ? EqualizerBand::high_shelf
                                  : EqualizerBand::peak;
    const auto one = equalizer_response(kind, bands.select(-1, 3 * band), bands.select(-1, 3 * band + 1),
                                        bands.select(-1, 3 * band + 2), sample_rate_hz, points);
    response = response.defined() ? response * one : one;
  }
  return mix_effects::filtered(x, response, points);
}

at::Tensor compressor_gain_db(const at::Tensor& side, const at::Tensor& settings, double sample_rate_hz) {
  using mix_effects::column;
  if (settings.size(-1) != 6) fail(ErrorKind::internal, "a compressor has 6 settings, not {}", settings.size(-1));
  const auto level_db = side.abs().clamp_min(mix_effects::kSilence).log10() * 20;
  const auto knee = column(settings, 4);
  const auto over = level_db - column(settings, 0);
  const auto slope = column(settings, 1).reciprocal() - 1;
  const auto within = slope * (over + knee / 2).square() / (2 * knee);
  const auto reduction =
      at::where(over > knee / 2, slope * over, at::where(over >= -knee / 2, within, at::zeros({}, over.options())));
  const auto attack_samples = column(settings, 2) * (sample_rate_hz / 1000);
  const auto decay = at::exp(-std::log(9.0) / attack_samples);  // rises from 10 to 90 % in the attack time
  const auto points = filtering_points(side.size(-1));
  return mix_effects::filtered(reduction, mix_effects::smoothing_response(decay, points), points);
}

at::Tensor compress(const at::Tensor& x, const at::Tensor& settings, double sample_rate_hz, std::int64_t lookahead) {
  const auto gain_db = compressor_gain_db(x.sum(-2), settings, sample_rate_hz) + mix_effects::column(settings, 5);
  const auto n = x.size(-1), shift = std::min(lookahead, n);
  const auto delayed = shift == 0 ? x : at::constant_pad_nd(x.narrow(-1, 0, n - shift), {shift, 0});
  return delayed * factor_of_db(gain_db).unsqueeze(-2);
}

at::Tensor sum_to_bus(const at::Tensor& tracks, const at::Tensor& send_db) {
  return (tracks * factor_of_db(send_db).unsqueeze(-1).unsqueeze(-1)).sum(-3);
}

}  // namespace melisma
