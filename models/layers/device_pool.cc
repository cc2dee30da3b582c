#include "models/layers/device_pool.h"

#include <algorithm>

namespace melisma {

DevicePool::Lease DevicePool::take() {
  const std::lock_guard lock(mutex_);
  const auto least = std::ranges::min_element(n_taken_);
  *least += 1;
  return {*this, static_cast<std::size_t>(least - n_taken_.begin())};
}

void DevicePool::give_back(std::size_t index) {
  const std::lock_guard lock(mutex_);
  n_taken_[index] -= 1;
}

}  // namespace melisma
