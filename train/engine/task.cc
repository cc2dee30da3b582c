#include "train/engine/task.h"

#include <ATen/CPUGeneratorImpl.h>

#include "tools/base/error.h"
#include "tools/base/seed.h"

namespace melisma {

const at::Tensor& Batch::at(std::string_view name) const {
  for (const auto& [key, tensor] : tensors_) {
    if (key == name) return tensor;
  }
  std::string have;
  for (const auto& [key, tensor] : tensors_) have += (have.empty() ? "" : ", ") + key;
  fail(ErrorKind::internal, "the loader supplied no tensor '{}'; it supplied: {}", name, have);
}

at::Generator StepContext::generator(std::string_view name) const {
  return at::detail::createCPUGenerator(seed_of(run_seed_, name, {epoch_, step_, micro_batch_, rank_}));
}

}  // namespace melisma
