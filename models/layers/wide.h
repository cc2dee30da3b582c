// What must not be rounded to 16 bits where networks train in bfloat16 or half precision.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace melisma {

// x in fp32 if it has 16 bits, x itself otherwise.
[[nodiscard]] inline at::Tensor wide(const at::Tensor& x) {
  return c10::isReducedFloatingType(x.scalar_type()) ? x.to(at::kFloat) : x;
}

// While it lives, operations take the types of their inputs instead of being cast down.
class WideArithmetic {
 private:
  c10::impl::ExcludeDispatchKeyGuard guard_{c10::autocast_dispatch_keyset};
};

}  // namespace melisma
