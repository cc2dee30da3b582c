#include "models/layers/position_convolution.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace melisma {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Where tap k of a convolution over n_in positions finds data: outputs [first, end) read inputs first_in, + stride, ...
struct TapRange {
  std::int64_t first = 0, end = 0, first_in = 0;
};

TapRange range_of_tap(std::int64_t k, std::int64_t n_in, std::int64_t n_out, const PositionConvolution& shape) {
  const auto offset = k - (shape.kernel - 1) / 2;  // output h reads input h stride + offset
  const auto first = offset >= 0 ? 0 : (-offset + shape.stride - 1) / shape.stride;
  const auto last_in = n_in - 1 - offset;
  const auto end = last_in < 0 ? 0 : std::min(n_out, last_in / shape.stride + 1);
  return {first, std::max(first, end), first * shape.stride + offset};
}

// The part of t [.., n_in, ..] that a tap reads, as many rows as outputs use it.
at::Tensor inputs_of_tap(const at::Tensor& t, const TapRange& range, std::int64_t stride) {
  return t.slice(2, range.first_in, range.first_in + (range.end - range.first - 1) * stride + 1, stride);
}

// [B, P, H', kernel * in]: what each output is the weighted sum of.
at::Tensor gathered(const at::Tensor& x, std::int64_t n_out, const PositionConvolution& shape) {
  const auto in = x.size(3);
  auto rows = at::empty({x.size(0), x.size(1), n_out, shape.kernel * in}, x.options());
  for (std::int64_t k = 0; k < shape.kernel; ++k) {
    const auto range = range_of_tap(k, x.size(2), n_out, shape);
    const auto columns = rows.narrow(3, k * in, in);
    columns.slice(2, 0, range.first).zero_();
    columns.slice(2, range.end, n_out).zero_();
    if (range.end > range.first) {
      columns.slice(2, range.first, range.end).copy_(inputs_of_tap(x, range, shape.stride));
    }
  }
  return rows;
}

// The gradient of gathered(): every row's taps added where they were read.
at::Tensor scattered(const at::Tensor& rows, std::int64_t n_in, const PositionConvolution& shape) {
  const auto in = rows.size(3) / shape.kernel;
  auto x = at::zeros({rows.size(0), rows.size(1), n_in, in}, rows.options());
  for (std::int64_t k = 0; k < shape.kernel; ++k) {
    const auto range = range_of_tap(k, n_in, rows.size(2), shape);
    if (range.end == range.first) continue;
    inputs_of_tap(x, range, shape.stride).add_(rows.narrow(3, k * in, in).slice(2, range.first, range.end));
  }
  return x;
}

class PositionConvolutionFunction final : public torch::autograd::Function<PositionConvolutionFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, std::int64_t kernel, std::int64_t stride, double slope) {
    const PositionConvolution shape{kernel, stride, slope};
    const auto n_out = (x.size(2) - 1) / stride + 1;
    const auto rows = gathered(x, n_out, shape).flatten(0, 2);
    auto out = at::addmm(bias, rows, weight.t());
    if (slope != 1) at::leaky_relu_(out, slope);
    context->saved_data["shape"] = std::vector<std::int64_t>{x.size(0), x.size(1), x.size(2), kernel, stride};
    context->saved_data["slope"] = slope;
    out = out.view({x.size(0), x.size(1), n_out, weight.size(0)});
    // Only what the wanted gradients need is kept.
    context->save_for_backward({weight.requires_grad() ? rows : at::Tensor(), weight, slope != 1 ? out : at::Tensor()});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &rows = saved[0], &weight = saved[1], &out = saved[2];
    const auto sizes = context->saved_data["shape"].toIntVector();
    const auto slope = context->saved_data["slope"].toDouble();
    const PositionConvolution shape{sizes[3], sizes[4], slope};
    auto gradient = gradients[0].contiguous();
    if (slope != 1) gradient = at::leaky_relu_backward(gradient, out, slope, /*self_is_result=*/true);
    const auto flat = gradient.flatten(0, 2);  // [B P H', out]
    variable_list wanted(6);
    if (context->needs_input_grad(0)) {
      const auto n_out = gradient.size(2);
      wanted[0] = scattered(at::mm(flat, weight).view({sizes[0], sizes[1], n_out, -1}), sizes[2], shape);
    }
    if (context->needs_input_grad(1)) wanted[1] = at::mm(flat.t(), rows);
    if (context->needs_input_grad(2)) wanted[2] = flat.sum(0);
    return wanted;
  }
};

}  // namespace

at::Tensor convolve_positions(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                              const PositionConvolution& shape) {
  // Autocast does not see into a function of ours: its factors are rounded here, where gradients find the way back.
  const auto device = x.device().type();
  const bool is_cast = at::autocast::is_autocast_enabled(device);
  const auto type = is_cast ? at::autocast::get_autocast_dtype(device) : x.scalar_type();
  const auto in_type = [&](const at::Tensor& t) { return is_cast ? t.to(type) : t; };
  return PositionConvolutionFunction::apply(in_type(x), in_type(weight), in_type(bias), shape.kernel, shape.stride,
                                            shape.slope);
}

}  // namespace melisma
