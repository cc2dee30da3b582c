#include "models/layers/packed_conv.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include "tools/base/error.h"

namespace melisma {
namespace packed_conv_detail {
namespace {

// oneDNN's fused operators are in LibTorch but in no header of it; boxed calls reach them.
template <class... Values>
at::Tensor call(const char* name, const char* overload, Values&&... values) {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
  torch::jit::Stack stack{c10::IValue(std::forward<Values>(values))...};
  op.callBoxed(stack);
  return stack.at(0).toTensor();
}

using Sizes = std::vector<std::int64_t>;

bool can_pack() { return at::hasMKLDNN() && at::globalContext().userEnabledMkldnn(); }

std::string name_of(PackedActivation activation) { return activation == PackedActivation::relu ? "relu" : "none"; }

at::Tensor channels_last(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

Sizes paddings(const auto& options) { return {options.padding_height, options.padding_width}; }
Sizes strides(const auto& options) { return {options.stride_height, options.stride_width}; }
Sizes output_paddings(const ConvTranspose2dOptions& options) {
  return {options.output_padding_height, options.output_padding_width};
}
const Sizes kNoDilation{1, 1};
constexpr std::int64_t kOneGroup = 1;

c10::List<std::optional<at::Scalar>> no_scalars() { return c10::List<std::optional<at::Scalar>>(); }

c10::IValue optional(const at::Tensor& bias) { return bias.defined() ? c10::IValue(bias) : c10::IValue(); }

at::Tensor activated(at::Tensor y, PackedActivation activation) {
  return activation == PackedActivation::relu ? at::relu_(y) : y;
}

}  // namespace
}  // namespace packed_conv_detail

PackedConv2d::PackedConv2d(const at::Tensor& weight, const at::Tensor& bias, const Conv2dOptions& options,
                           PackedActivation activation)
    : bias_(bias), options_(options), activation_(activation), is_packed_(packed_conv_detail::can_pack()) {
  using namespace packed_conv_detail;
  if (weight.size(2) != options.kernel_height || weight.size(3) != options.kernel_width) {
    fail(ErrorKind::internal, "a kernel of {} x {} was declared as {} x {}", weight.size(2), weight.size(3),
         options.kernel_height, options.kernel_width);
  }
  weight_ = is_packed_ ? call("mkldnn::_reorder_convolution_weight", "", weight.contiguous(), paddings(options),
                              strides(options), kNoDilation, kOneGroup, c10::IValue())
                       : channels_last(weight);
}

at::Tensor PackedConv2d::operator()(const at::Tensor& x) const {
  using namespace packed_conv_detail;
  if (!is_packed_) {
    return activated(at::conv2d(channels_last(x), weight_, bias_, strides(options_), paddings(options_)), activation_);
  }
  return call("mkldnn::_convolution_pointwise", "", channels_last(x), weight_, optional(bias_), paddings(options_),
              strides(options_), kNoDilation, kOneGroup, name_of(activation_), no_scalars(), c10::IValue());
}

void PackedConv2d::add_to(at::Tensor& sum, const at::Tensor& x) const {
  using namespace packed_conv_detail;
  if (!is_packed_) {
    sum.add_(at::conv2d(channels_last(x), weight_, bias_, strides(options_), paddings(options_)));
    return;
  }
  call("mkldnn::_convolution_pointwise_", "binary", sum, channels_last(x), weight_, optional(bias_), paddings(options_),
       strides(options_), kNoDilation, kOneGroup, std::string("add"), c10::IValue(), c10::IValue(), no_scalars(),
       c10::IValue());
}

PackedConvTranspose2d::PackedConvTranspose2d(const at::Tensor& weight, const at::Tensor& bias,
                                             const ConvTranspose2dOptions& options, PackedActivation activation)
    : bias_(bias), options_(options), activation_(activation), is_packed_(packed_conv_detail::can_pack()) {
  using namespace packed_conv_detail;
  weight_ = is_packed_
                ? call("mkldnn::_reorder_convolution_transpose_weight", "", weight.contiguous(), paddings(options),
                       output_paddings(options), strides(options), kNoDilation, kOneGroup, c10::IValue())
                : channels_last(weight);
}

at::Tensor PackedConvTranspose2d::operator()(const at::Tensor& x) const {
  using namespace packed_conv_detail;
  if (!is_packed_) {
    return activated(at::conv_transpose2d(channels_last(x), weight_, bias_, strides(options_), paddings(options_),
                                          output_paddings(options_)),
                     activation_);
  }
  return call("mkldnn::_convolution_transpose_pointwise", "", channels_last(x), weight_, optional(bias_),
              paddings(options_), output_paddings(options_), strides(options_), kNoDilation, kOneGroup,
              name_of(activation_), no_scalars(), c10::IValue());
}

ChannelAffine batch_norm_affine(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
                                const at::Tensor& running_var, double eps) {
  const auto scale = weight.to(at::kDouble) / (running_var.to(at::kDouble) + eps).sqrt();
  const auto shift = bias.to(at::kDouble) - running_mean.to(at::kDouble) * scale;
  return {scale.to(at::kFloat), shift.to(at::kFloat)};
}

}  // namespace melisma
