#include "models/weights/quantize.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/base/error.h"

namespace melisma {

namespace {

// A contiguous tensor seen from one axis: [outer, channels, inner].
struct AxisView {
  std::int64_t outer = 1, channels = 1, inner = 1;
};

AxisView seen_from(const at::Tensor& t, std::int64_t axis) {
  if (axis < 0) return {1, 1, t.numel()};
  AxisView view{1, t.size(axis), 1};
  for (std::int64_t d = 0; d < axis; ++d) view.outer *= t.size(d);
  for (std::int64_t d = axis + 1; d < t.dim(); ++d) view.inner *= t.size(d);
  return view;
}

// Calls use(channel, first, count) for each run of neighbours of one channel.
template <class Use>
void for_each_run(const AxisView& view, const Use& use) {
  std::int64_t first = 0;
  for (std::int64_t o = 0; o < view.outer; ++o) {
    for (std::int64_t c = 0; c < view.channels; ++c, first += view.inner) use(c, first, view.inner);
  }
}

// To the nearest whole number, halves to the even one; for |x| < 2^22. Sums beyond 2^23 have no room for a fraction.
float rounded(float x) {
  constexpr float kNoFraction = 12582912.0F;  // 1.5 * 2^23
  return (x + kNoFraction) - kNoFraction;
}

std::vector<std::int64_t> scale_shape(const at::Tensor& weight, std::int64_t axis) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(weight.dim()), 1);
  if (axis >= 0) shape[static_cast<std::size_t>(axis)] = weight.size(axis);
  return shape;
}

// The axis along which the scale has its values; -1 if there is one for all.
std::int64_t axis_of_scale(const at::Tensor& scale) {
  for (std::int64_t d = 0; d < scale.dim(); ++d) {
    if (scale.size(d) != 1) return d;
  }
  return -1;
}

double decibels(double signal, double noise) {
  return noise == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / noise);
}

}  // namespace

// Plain loops: temporaries of whole tensors would be most of the memory that an export needs.
QuantizedWeight quantize_symmetric(const at::Tensor& weight, std::int64_t axis, std::int64_t largest_code) {
  const auto w = weight.detach().to(at::kFloat).contiguous();
  const auto view = seen_from(w, axis);
  const auto* values = w.const_data_ptr<float>();
  QuantizedWeight made{at::empty(w.sizes(), at::kChar), at::zeros(scale_shape(w, axis), at::kFloat)};
  auto* scale = made.scale.data_ptr<float>();
  auto* codes = made.codes.data_ptr<std::int8_t>();
  for_each_run(view, [&](std::int64_t channel, std::int64_t first, std::int64_t count) {
    float largest = scale[channel];
    for (std::int64_t i = first; i < first + count; ++i) largest = std::max(largest, std::abs(values[i]));
    scale[channel] = largest;
  });
  const auto limit = static_cast<float>(largest_code);
  // Divided, not multiplied by 1 / limit, which rounds differently.
  for (std::int64_t c = 0; c < view.channels; ++c) scale[c] = scale[c] == 0 ? 1.0F : scale[c] / limit;
  for_each_run(view, [&](std::int64_t channel, std::int64_t first, std::int64_t count) {
    for (std::int64_t i = first; i < first + count; ++i) {
      codes[i] = static_cast<std::int8_t>(std::clamp(rounded(values[i] / scale[channel]), -limit, limit));
    }
  });
  return made;
}

at::Tensor dequantize(const QuantizedWeight& weight) { return weight.codes.to(at::kFloat).mul_(weight.scale); }

QuantizedActivations quantize_asymmetric(const at::Tensor& x, bool per_row) {
  const auto zero = at::zeros({1}, at::kFloat);
  const auto rows = per_row ? x.to(at::kFloat) : x.to(at::kFloat).reshape({1, -1});
  const auto low = at::minimum(rows.amin({1}), zero), high = at::maximum(rows.amax({1}), zero);
  const auto range = high - low;
  const auto scale = at::where(range == 0, at::ones_like(range), range / at::full({}, 255, at::kFloat));
  const auto zero_point = at::round(low.neg() / scale).clamp_(0, 255);
  const auto codes = (at::round(rows / scale.unsqueeze(1)) + zero_point.unsqueeze(1)).clamp_(0, 255);
  return {codes.to(at::kByte).view(x.sizes()), scale, zero_point.to(at::kByte)};
}

double snr_db(const at::Tensor& reference, const at::Tensor& got) {
  constexpr std::int64_t kBlock = 1 << 16;  // in pieces, so that the doubles need little memory
  const auto expected = reference.detach().contiguous().view(-1), actual = got.detach().contiguous().view(-1);
  double signal = 0, noise = 0;
  for (std::int64_t start = 0; start < expected.numel(); start += kBlock) {
    const auto count = std::min(kBlock, expected.numel() - start);
    const auto part = expected.narrow(0, start, count).to(at::kDouble);
    signal += part.square().sum().item<double>();
    noise += (part - actual.narrow(0, start, count).to(at::kDouble)).square_().sum().item<double>();
  }
  return decibels(signal, noise);
}

double snr_db(const at::Tensor& reference, const QuantizedWeight& got) {
  const auto expected = reference.detach().to(at::kFloat).contiguous();
  const auto codes = got.codes.contiguous(), scale = got.scale.contiguous();
  const auto* values = expected.const_data_ptr<float>();
  const auto* code = codes.const_data_ptr<std::int8_t>();
  const auto* factor = scale.const_data_ptr<float>();
  double signal = 0, noise = 0;
  for_each_run(seen_from(expected, axis_of_scale(scale)), [&](std::int64_t c, std::int64_t first, std::int64_t count) {
    for (std::int64_t i = first; i < first + count; ++i) {
      const double value = values[i], lost = value - static_cast<float>(code[i]) * factor[c];
      signal += value * value;
      noise += lost * lost;
    }
  });
  return decibels(signal, noise);
}

ModelFile dequantized(ModelFile file) {
  if (file.quantization != kInt8) return file;
  StateDict plain;
  for (const auto& [name, tensor] : file.weights) {
    const auto base = name.ends_with(kScaleSuffix) ? name.substr(0, name.size() - kScaleSuffix.size()) : std::string();
    if (!base.empty() && file.weights.contains(base)) continue;  // handled with its codes
    if (tensor.scalar_type() != at::kChar) {
      plain.add(name, tensor);
      continue;
    }
    const auto& scale = file.weights.at(name + std::string(kScaleSuffix));
    if (scale.dim() != tensor.dim()) fail(ErrorKind::checkpoint, "the scale of '{}' has another rank", name);
    for (std::int64_t d = 0; d < scale.dim(); ++d) {
      if (scale.size(d) != 1 && scale.size(d) != tensor.size(d)) {
        fail(ErrorKind::checkpoint, "the scale of '{}' does not fit its shape", name);
      }
    }
    plain.add(name, dequantize({tensor, scale}));
  }
  file.weights = std::move(plain);
  file.quantization = "none";
  return file;
}

}  // namespace melisma
