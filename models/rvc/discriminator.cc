#include "models/rvc/discriminator.h"

#include <ATen/ATen.h>

#include <array>

#include "models/layers/position_convolution.h"

namespace melisma {
namespace {

constexpr double kJudgeSlope = 0.1;

// The features of every convolution and the logits of the last, as all sub-discriminators make them.
template <class Convolution>
Judgement judged_by(const std::vector<Owned<Convolution>>& convolutions, const Convolution& post, at::Tensor x) {
  Judgement judgement;
  for (const auto& convolution : convolutions) {
    x = (*convolution)(x);
    judgement.features.push_back(x = at::leaky_relu_(x, kJudgeSlope));
  }
  judgement.features.push_back(x = post(x));
  judgement.logits = x.flatten(1);
  return judgement;
}

// Grouped convolutions straight on the waveform.
class ScaleDiscriminator final : public SubDiscriminator {
 public:
  explicit ScaleDiscriminator(std::int64_t divisor) {
    struct Row {
      std::int64_t in, out, kernel, stride, groups;
    };
    constexpr std::array<Row, 6> kRows{{{1, 16, 15, 1, 1},
                                        {16, 64, 41, 4, 4},
                                        {64, 256, 41, 4, 16},
                                        {256, 1024, 41, 4, 64},
                                        {1024, 1024, 41, 4, 256},
                                        {1024, 1024, 5, 1, 1}}};
    const auto narrowed = [&](std::int64_t width) {
      return width == 1 ? 1 : std::max<std::int64_t>(1, width / divisor);
    };
    for (const auto& row : kRows) {
      convolutions_.push_back(make_child<Conv1d>("convs." + std::to_string(convolutions_.size()), narrowed(row.in),
                                                 narrowed(row.out),
                                                 ConvOptions{.kernel = row.kernel,
                                                             .stride = row.stride,
                                                             .padding = (row.kernel - 1) / 2,
                                                             .groups = narrowed(row.groups),
                                                             .weight_norm = true}));
    }
    post_ =
        make_child<Conv1d>("conv_post", narrowed(1024), 1, ConvOptions{.kernel = 3, .padding = 1, .weight_norm = true});
  }

  Judgement judge(const at::Tensor& wave) const override { return judged_by(convolutions_, *post_, wave); }

 private:
  std::vector<Owned<Conv1d>> convolutions_;
  Owned<Conv1d> post_;
};

// [out, in, k, 1] -> [out, k in], as convolve_positions takes it.
at::Tensor weight_by_taps(const Conv2d& convolution) {
  return convolution.weight().squeeze(3).transpose(1, 2).flatten(1);
}

// Convolutions over every p-th sample.
class PeriodDiscriminator final : public SubDiscriminator {
 public:
  PeriodDiscriminator(std::int64_t period, std::int64_t divisor, PeriodLayout layout)
      : period_(period), layout_(layout) {
    constexpr std::array<std::int64_t, 5> kWidths{32, 128, 512, 1024, 1024};
    std::int64_t in = 1;
    for (std::size_t i = 0; i < kWidths.size(); ++i) {
      const auto out = std::max<std::int64_t>(1, kWidths[i] / divisor);
      convolutions_.push_back(make_child<Conv2d>("convs." + std::to_string(i), in, out,
                                                 Conv2dOptions{.kernel_height = kKernel,
                                                               .stride_height = stride_of(i),
                                                               .padding_height = (kKernel - 1) / 2,
                                                               .weight_norm = true}));
      in = out;
    }
    post_ = make_child<Conv2d>(
        "conv_post", in, 1,
        Conv2dOptions{.kernel_height = kPostKernel, .padding_height = (kPostKernel - 1) / 2, .weight_norm = true});
  }

  Judgement judge(const at::Tensor& wave) const override {
    const auto missing = (period_ - wave.size(2) % period_) % period_;
    const auto padded = missing == 0 ? wave : at::reflection_pad1d(wave, {0, missing});
    const auto planes = padded.view({padded.size(0), 1, padded.size(2) / period_, period_});  // [B, 1, H, P]
    return layout_ == PeriodLayout::planes ? judged_by(convolutions_, *post_, planes)
                                           : judge_matrices(planes.permute({0, 3, 2, 1}));
  }

 private:
  static constexpr std::int64_t kKernel = 5, kPostKernel = 3;
  static constexpr std::int64_t stride_of(std::size_t layer) { return layer < 4 ? 3 : 1; }

  // Features are handed out as [B, C, H, P] views, whatever lies in memory; the next layer reads them through the view,
  // so that a gradient with respect to a feature is the whole one.
  [[nodiscard]] Judgement judge_matrices(at::Tensor x) const {
    Judgement judgement;
    const auto turned = [](const at::Tensor& t) { return t.permute({0, 3, 2, 1}); };  // is its own inverse
    for (std::size_t i = 0; i < convolutions_.size(); ++i) {
      x = convolve_positions(x, weight_by_taps(*convolutions_[i]), convolutions_[i]->bias(),
                             {kKernel, stride_of(i), kJudgeSlope});
      judgement.features.push_back(turned(x));
      x = turned(judgement.features.back());
    }
    x = convolve_positions(x, weight_by_taps(*post_), post_->bias(), {.kernel = kPostKernel});
    judgement.features.push_back(turned(x));
    judgement.logits = judgement.features.back().flatten(1);
    return judgement;
  }

  std::int64_t period_;
  PeriodLayout layout_;
  std::vector<Owned<Conv2d>> convolutions_;
  Owned<Conv2d> post_;
};

// Convolutions over a magnitude spectrogram with a rectangular window.
class SpectrumDiscriminator final : public SubDiscriminator {
 public:
  struct Resolution {
    std::int64_t n_fft, hop, window;
  };

  explicit SpectrumDiscriminator(const Resolution& resolution) : resolution_(resolution) {
    const auto add = [&](std::size_t index, std::int64_t in, std::int64_t width, std::int64_t stride) {
      convolutions_.push_back(make_child<Conv2d>("convs." + std::to_string(index), in, 32,
                                                 Conv2dOptions{.kernel_height = 3,
                                                               .kernel_width = width,
                                                               .stride_width = stride,
                                                               .padding_height = 1,
                                                               .padding_width = (width - 1) / 2,
                                                               .weight_norm = true}));
    };
    add(0, 1, 9, 1);
    for (std::size_t i = 1; i < 4; ++i) add(i, 32, 9, 2);
    add(4, 32, 3, 1);
    post_ = make_child<Conv2d>(
        "conv_post", 32, 1,
        Conv2dOptions{
            .kernel_height = 3, .kernel_width = 3, .padding_height = 1, .padding_width = 1, .weight_norm = true});
  }

  Judgement judge(const at::Tensor& wave) const override {
    const auto margin = (resolution_.n_fft - resolution_.hop) / 2;
    const auto padded = at::reflection_pad1d(wave, {margin, margin}).squeeze(1);
    const auto spectrum = at::stft(padded, resolution_.n_fft, resolution_.hop, resolution_.window,
                                   at::ones({resolution_.window}, padded.options()), false, "constant", false, true,
                                   true);                                 // [B, bins, frames] complex
    auto x = at::norm(at::view_as_real(spectrum), 2, {-1}).unsqueeze(1);  // [B, 1, bins, frames]
    return judged_by(convolutions_, *post_, x);
  }

 private:
  Resolution resolution_;
  std::vector<Owned<Conv2d>> convolutions_;
  Owned<Conv2d> post_;
};

std::vector<std::int64_t> periods_of(std::string_view version) {
  if (version == "v1") return {2, 3, 5, 7, 11, 17};
  if (version == "v2") return {2, 3, 5, 7, 11, 17, 23, 37};
  return {2, 3, 5, 7, 11};
}

}  // namespace

Judgements judgements_of(const Judgements& all, std::int64_t first, std::int64_t count) {
  Judgements part;
  for (const auto& judgement : all) {
    auto& added = part.emplace_back();
    added.logits = judgement.logits.narrow(0, first, count);
    for (const auto& feature : judgement.features) added.features.push_back(feature.narrow(0, first, count));
  }
  return part;
}

Judgements detached(const Judgements& judgements) {
  Judgements copy;
  for (const auto& judgement : judgements) {
    auto& added = copy.emplace_back();
    added.logits = judgement.logits.detach();
    for (const auto& feature : judgement.features) added.features.push_back(feature.detach());
  }
  return copy;
}

Discriminator::Discriminator(const RvcDiscriminatorConfig& config, PeriodLayout layout) {
  const auto add = [&]<class Part>(Owned<Part> part) {
    child("discriminators." + std::to_string(parts_.size()), static_cast<Module&>(*part));
    parts_.push_back(std::move(part));
  };
  add(std::make_unique<ScaleDiscriminator>(config.scale_divisor));
  for (const auto period : periods_of(config.version)) {
    add(std::make_unique<PeriodDiscriminator>(period, config.period_divisor, layout));
  }
  if (config.version != "v3") return;
  using Resolution = SpectrumDiscriminator::Resolution;
  for (const auto& resolution : {Resolution{1024, 120, 600}, Resolution{2048, 240, 1200}, Resolution{512, 50, 240}}) {
    add(std::make_unique<SpectrumDiscriminator>(resolution));
  }
}

Judgements Discriminator::operator()(const at::Tensor& wave) const {
  Judgements judgements;
  for (const auto& part : parts_) judgements.push_back(part->judge(wave));
  return judgements;
}

}  // namespace melisma
