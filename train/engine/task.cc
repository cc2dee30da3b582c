#include "train/engine/task.h"

#include <ATen/CPUGeneratorImpl.h>

#include "models/layers/device.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"

namespace melisma {

const at::Tensor& Batch::at(std::string_view name) const {
  std::string have;
  for (const auto& item : items_) {
    if (item.name == name) return item.tensor;
    have += (have.empty() ? "" : ", ") + item.name;
  }
  fail(ErrorKind::internal, "the loader supplied no tensor '{}'; it supplied: {}", name, have);
}

Batch Batch::to(at::Device device) const {
  auto moved = *this;
  for (auto& item : moved.items_) {
    if (!item.stays) item.tensor = on_device(item.tensor, device);
  }
  return moved;
}

at::Generator StepContext::generator(std::string_view name) const {
  return at::detail::createCPUGenerator(seed_of(run_seed_, name, {epoch_, step_, micro_batch_, rank_}));
}

}  // namespace melisma
