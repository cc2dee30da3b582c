#include "train/engine/loss_scaler.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace melisma {

LossScaler::LossScaler(at::Device device)
    : scale_(at::full({1}, kFirst, at::TensorOptions(device).dtype(at::kFloat))),
      good_steps_(at::zeros({1}, at::TensorOptions(device).dtype(at::kInt))) {}

at::Tensor LossScaler::scaled(const at::Tensor& loss) const { return is_on() ? loss * scale_.squeeze(0) : loss; }

at::Tensor LossScaler::unscale(const std::vector<at::Tensor>& gradients) const {
  const c10::NoGradGuard no_grad;
  auto found = at::zeros_like(scale_);
  if (!gradients.empty()) at::_amp_foreach_non_finite_check_and_unscale_(gradients, found, scale_.reciprocal());
  return found.squeeze(0).to(at::kBool);
}

at::Tensor LossScaler::can_shrink() const { return scale_.squeeze(0) > kLeast; }

void LossScaler::end_step(const at::Tensor& bad) {
  if (!is_on()) return;
  const c10::NoGradGuard no_grad;
  const auto found = bad.to(scale_.options()).view({1});
  at::_amp_update_scale_(scale_, good_steps_, found, /*growth=*/2.0, /*backoff=*/0.5, kGrowthSteps);
  scale_.clamp_(kLeast, kMost);
}

double LossScaler::scale() const { return is_on() ? scale_.item<double>() : 1.0; }
std::int64_t LossScaler::good_steps() const { return is_on() ? good_steps_.item<std::int64_t>() : 0; }

void LossScaler::restore(double scale, std::int64_t good_steps) {
  if (!is_on()) return;
  scale_.fill_(scale);
  good_steps_.fill_(good_steps);
}

}  // namespace melisma
