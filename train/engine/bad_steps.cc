#include "train/engine/bad_steps.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace melisma {

void BadSteps::add(const at::Tensor& bad, const at::Tensor& overflowed) {
  const c10::NoGradGuard no_grad;
  const auto step = at::stack({bad, overflowed}).to(at::kLong);
  counts_ = counts_.defined() ? counts_ + step : step;
}

BadSteps::Counts BadSteps::take() {
  if (!counts_.defined()) return {};
  const auto read = counts_.to(at::kCPU);
  counts_ = at::Tensor();
  const auto* counts = read.const_data_ptr<std::int64_t>();
  return {.diverged = counts[0] - counts[1], .overflowed = counts[1]};
}

}  // namespace melisma
