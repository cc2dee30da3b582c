// Devices shared out among the threads of one process.
#pragma once
#include <c10/core/Device.h>

#include <cstddef>
#include <mutex>
#include <vector>

namespace melisma {

// Who takes one gets the one that the fewest others have; as many threads as devices have one each. Threads may take
// and give back at once.
class DevicePool {
 public:
  explicit DevicePool(std::vector<at::Device> devices) : devices_(std::move(devices)), n_taken_(devices_.size()) {}

  class Lease {
   public:
    Lease(DevicePool& pool, std::size_t index) : pool_(pool), index_(index) {}
    ~Lease() { pool_.give_back(index_); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    [[nodiscard]] std::size_t index() const { return index_; }  // in devices()
    [[nodiscard]] at::Device device() const { return pool_.devices_[index_]; }

   private:
    DevicePool& pool_;
    std::size_t index_;
  };
  [[nodiscard]] Lease take();
  [[nodiscard]] const std::vector<at::Device>& devices() const { return devices_; }

 private:
  void give_back(std::size_t index);
  std::vector<at::Device> devices_;
  std::vector<int> n_taken_;
  std::mutex mutex_;
};

}  // namespace melisma
