// Samples of one recording while it is prepared: in memory if few, in an unnamed file if many.
#pragma once
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace melisma {

class SampleStore {
 public:
  // Past `memory_samples` the samples move to a file in `folder` that vanishes with the store.
  SampleStore(std::filesystem::path folder, std::int64_t memory_samples);
  void append(std::span<const float> samples);
  [[nodiscard]] std::int64_t size() const { return size_; }
  // Samples [first, first + out.size()), which must exist.
  void read(std::int64_t first, std::span<float> out) const;

 private:
  void move_to_file();
  std::filesystem::path folder_;
  std::int64_t limit_, size_ = 0;
  std::vector<float> memory_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
};

}  // namespace melisma
