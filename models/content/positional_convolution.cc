#include "models/content/positional_convolution.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <bit>

#include "tools/base/error.h"

namespace melisma {

// Overlap-save: a block of twice the kernel's length gives one more frame than the kernel is long. Against the direct
// sum this needs a twelfth of the multiplications.
PositionalConvolution::PositionalConvolution(const HubertConfig& config)
    : hidden_(config.hidden),
      groups_(config.position_groups),
      kernel_(config.position_kernel),
      transform_(2 * static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(config.position_kernel)))),
      step_(transform_ - kernel_ + 1) {
  bias_ = parameter("conv.bias", at::zeros({hidden_}));
  g_ = parameter("conv.weight_g", at::ones({1, 1, kernel_}));
  v_ = parameter("conv.weight_v", at::zeros({hidden_, hidden_ / groups_, kernel_}));
}

void PositionalConvolution::fold(bool on) {
  response_.reset();
  if (!on) return;
  const c10::NoGradGuard no_grad;
  const auto width = hidden_ / groups_;
  const auto weight = at::_weight_norm(v_, g_, 2).view({groups_, width, width, kernel_});  // [G, out, in, kernel]
  const auto response = at::fft_rfft(weight, transform_).conj();                           // [G, out, in, F]
  response_ = response.permute({3, 0, 2, 1}).contiguous().view({-1, width, width});        // [F G, in, out]
}

// Blocks of `transform_` frames, each `step_` after the one before: [blocks, hidden, transform].
at::Tensor PositionalConvolution::blocks_of(const at::Tensor& x, std::span<const std::int64_t> lengths) const {
  std::vector<at::Tensor> blocks;
  std::int64_t first = 0;
  for (const auto length : lengths) {
    const auto count = (length + step_ - 1) / step_;
    const auto padded = at::zeros({hidden_, count * step_ + kernel_ - 1});
    padded.narrow(1, kernel_ / 2, length).copy_(x.narrow(0, first, length).t());
    blocks.push_back(padded.unfold(1, transform_, step_).transpose(0, 1));  // [count, hidden, transform]
    first += length;
  }
  return at::cat(blocks);
}

at::Tensor PositionalConvolution::plain(const at::Tensor& x, std::span<const std::int64_t> lengths) const {
  const c10::NoGradGuard no_grad;
  const auto weight = at::_weight_norm(v_, g_, 2);
  std::vector<at::Tensor> made;
  std::int64_t first = 0;
  for (const auto length : lengths) {
    const auto clip = x.narrow(0, first, length).t().unsqueeze(0);  // [1, hidden, length]
    const auto all = at::conv1d(clip, weight, bias_, 1, kernel_ / 2, 1, groups_);
    made.push_back(all[0].narrow(1, 0, length).t());
    first += length;
  }
  return at::cat(made);
}

at::Tensor PositionalConvolution::operator()(const at::Tensor& x, std::span<const std::int64_t> lengths) const {
  if (!x.is_cpu()) return plain(x, lengths);
  if (!response_.defined()) fail(ErrorKind::internal, "a positional convolution is used before fold(true)");
  const c10::NoGradGuard no_grad;
  const auto width = hidden_ / groups_;
  const auto spectra = at::fft_rfft(blocks_of(x, lengths));  // [blocks, hidden, F]
  const auto n_blocks = spectra.size(0), n_frequencies = spectra.size(2);
  const auto by_frequency =
      spectra.view({n_blocks, groups_, width, n_frequencies}).permute({3, 1, 0, 2}).contiguous();  // [F, G, blocks, in]
  const auto products = at::bmm(by_frequency.view({-1, n_blocks, width}), response_)
                            .view({n_frequencies, groups_, n_blocks, width})
                            .permute({2, 1, 3, 0});                                        // [blocks, G, out, F]
  const auto made = at::fft_irfft(products.contiguous(), transform_).narrow(3, 0, step_);  // [blocks, G, out, step]
  const auto frames = made.permute({0, 3, 1, 2}).reshape({n_blocks * step_, hidden_});
  auto out = at::empty_like(x);
  std::int64_t first = 0, block = 0;
  for (const auto length : lengths) {
    auto rows = out.narrow(0, first, length);
    at::add_out(rows, frames.narrow(0, block * step_, length), bias_);
    first += length;
    block += (length + step_ - 1) / step_;
  }
  return out;
}

}  // namespace melisma
