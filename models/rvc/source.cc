#include "models/rvc/source.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numbers>

namespace melisma {
namespace source_detail {
namespace {

constexpr double kSineAmplitude = 0.1;
constexpr double kVoicedNoise = 0.003;
constexpr double kUnvoicedNoise = kSineAmplitude / 3;

at::Tensor wrapped(const at::Tensor& cycles) { return cycles - at::floor(cycles); }

// x [B, T] moved `by` frames (1 or -1), the frame at the end standing twice.
at::Tensor shifted(const at::Tensor& x, std::int64_t by) {
  const auto last = x.size(1) - 1;
  return by > 0 ? at::cat({x.narrow(1, 0, 1), x.narrow(1, 0, last)}, 1)
                : at::cat({x.narrow(1, 1, last), x.narrow(1, last, 1)}, 1);
}

}  // namespace
}  // namespace source_detail

SourceModule::SourceModule(std::int64_t sample_rate_hz, std::int64_t hop, const SourceForm& form)
    : sample_rate_hz_(sample_rate_hz), hop_(hop), form_(form) {
  merge_ = make_child<Linear>(form.merge, form.sines, 1, form.merge_bias);
}

at::Tensor SourceModule::cycles_before(const at::Tensor& f0_hz) const {
  using namespace source_detail;
  const c10::NoGradGuard no_grad;
  auto a_frame = f0_hz.to(at::kDouble);  // [B, T] sum of f0 over a frame's samples, over hop
  if (form_.interpolates_f0) {
    // The samples of half a frame lean on the neighbour by (0.5 - (j + 0.5) / hop), j = 0, 1, ...
    const auto half = static_cast<double>(hop_ / 2), hop = static_cast<double>(hop_);
    const auto lean = (half - half * half / hop) / (2 * hop);
    a_frame = a_frame * (1 - 2 * lean) + (shifted(a_frame, 1) + shifted(a_frame, -1)) * lean;
  }
  a_frame = a_frame * (static_cast<double>(hop_) / static_cast<double>(sample_rate_hz_));
  auto before = at::zeros_like(a_frame);
  const auto last = f0_hz.size(1) - 1;
  before.narrow(1, 1, last).copy_(wrapped(at::cumsum(wrapped(a_frame), 1)).narrow(1, 0, last));
  return before;
}

// f0_hz [B, T] -> [B, T, hop] double
at::Tensor SourceModule::interpolated(const at::Tensor& f0_hz) const {
  const auto f0 = f0_hz.to(at::kDouble).unsqueeze(1);  // [B, 1, T]
  return at::upsample_linear1d(f0, {f0.size(2) * hop_}, /*align_corners=*/false).view({f0.size(0), f0.size(2), hop_});
}

// -> [B, T hop] double, the phase after each sample's own increment
at::Tensor SourceModule::cycles_of_samples(const at::Tensor& f0_hz, const at::Tensor& cycles) const {
  const auto before = (cycles.defined() ? cycles : cycles_before(f0_hz)).unsqueeze(2);  // [B, T, 1]
  const auto rate = static_cast<double>(sample_rate_hz_);
  at::Tensor within;  // [B, T, hop]
  if (form_.interpolates_f0) {
    within = at::cumsum(interpolated(f0_hz) / rate, 2);
  } else {
    const auto a_sample = f0_hz.to(at::kDouble) / rate;
    within = a_sample.unsqueeze(2) * at::arange(1, hop_ + 1, a_sample.options());
  }
  return (before + within).flatten(1);
}

at::Tensor SourceModule::sines(const at::Tensor& f0_hz, const at::Tensor& phases, const at::Tensor& cycles) const {
  using source_detail::wrapped;
  const c10::NoGradGuard no_grad;
  auto all = cycles_of_samples(f0_hz, cycles).unsqueeze(2);  // [B, N, 1]
  if (form_.sines > 1) {
    all = all * at::arange(1, form_.sines + 1, all.options());  // [B, N, sines]
    if (phases.defined()) {
      auto ahead = phases.to(at::kDouble).unsqueeze(1).clone();  // [B, 1, sines]
      ahead.select(2, 0).zero_();
      all = all + ahead;
    }
  }
  return at::sin(wrapped(all).to(f0_hz.scalar_type()) * (2 * std::numbers::pi));
}

at::Tensor SourceModule::operator()(const at::Tensor& f0_hz, const SourceNoise& noise, const at::Tensor& cycles) const {
  using namespace source_detail;
  at::Tensor excitation;  // [B, N, sines]
  {
    const c10::NoGradGuard no_grad;
    const auto is_voiced = form_.interpolates_f0 ? (interpolated(f0_hz) > 0).flatten(1)
                                                 : (f0_hz > 0).repeat_interleave(hop_, 1);  // [B, N]
    const auto voiced = is_voiced.to(f0_hz.scalar_type()).unsqueeze(2);
    excitation = sines(f0_hz, noise.phases, cycles) * kSineAmplitude * voiced;
    if (noise.normal.defined()) {
      excitation = excitation + (voiced * kVoicedNoise + (1 - voiced) * kUnvoicedNoise) * noise.normal;
    }
  }
  return at::tanh((*merge_)(excitation)).transpose(1, 2);
}

}  // namespace melisma
