// Activations that are computed again in the backward pass instead of being kept for it: less memory for more time.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>

namespace melisma {

// part(x), of which the backward pass finds x alone and runs `part` again (Chen et al., Training Deep Nets with
// Sublinear Memory Cost, 2016). Gradients, those of parameters in `part` included, are the plain ones but for the order
// of sums. `part` makes the same of the same x each time, changes nothing, and outlives the backward pass. Just part(x)
// where no gradient of x is wanted. Both passes run in the caller's autocast.
[[nodiscard]] at::Tensor recomputed(const std::function<at::Tensor(const at::Tensor&)>& part, const at::Tensor& x);

// Whether networks that can save memory so do, on this thread while a scope lives.
[[nodiscard]] bool is_recomputing();

class RecomputeScope {
 public:
  explicit RecomputeScope(bool on);
  ~RecomputeScope();
  RecomputeScope(const RecomputeScope&) = delete;
  RecomputeScope& operator=(const RecomputeScope&) = delete;

 private:
  bool before_;
};

}  // namespace melisma
