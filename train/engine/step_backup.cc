#include "train/engine/step_backup.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace melisma {

void StepBackup::keep(const Turn& turn) {
  const c10::NoGradGuard no_grad;
  const auto add = [this](const at::Tensor& live) {
    if (n_kept_ == copies_.size()) copies_.emplace_back();
    auto& copy = copies_[n_kept_++];
    if (copy.live.defined() && copy.live.is_same_size(live)) {
      copy.saved.copy_(live);
    } else {
      copy.saved = live.clone();
    }
    copy.live = live;
  };
  for (const auto& [name, parameter] : turn.network.module->trainable_parameters()) add(parameter.detach());
  for (const auto& [name, tensor] : turn.optimizer->state()) add(tensor);
}

void StepBackup::restore() {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < n_kept_; ++i) copies_[i].live.copy_(copies_[i].saved);
  forget();
}

}  // namespace melisma
