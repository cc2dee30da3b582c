#include "models/weights/quantize.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/base/error.h"

namespace melisma {

QuantizedWeight quantize_symmetric(const at::Tensor& weight, std::int64_t axis, std::int64_t largest_code) {
  const auto w = weight.detach().to(at::kFloat);
  at::Tensor largest;
  if (axis < 0) {
    largest = w.abs().amax().view(std::vector<std::int64_t>(static_cast<std::size_t>(w.dim()), 1));
  } else {
    std::vector<std::int64_t> others;
    for (std::int64_t d = 0; d < w.dim(); ++d) {
      if (d != axis) others.push_back(d);
    }
    largest = others.empty() ? w.abs() : w.abs().amax(others, /*keepdim=*/true);
  }
  // Divided as tensors: multiplying by 1 / scale rounds differently.
  const auto limit = at::full({}, largest_code, at::kFloat);
  const auto scale = at::where(largest == 0, at::ones_like(largest), largest / limit);
  const auto codes = at::div(w, scale).round_().clamp_(-largest_code, largest_code).to(at::kChar);
  return {codes, scale};
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
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
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
