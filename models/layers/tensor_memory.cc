#include "models/layers/tensor_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <sys/mman.h>

#include <bit>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <unordered_map>

#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;  // blocks begin where one may
constexpr std::size_t kClassesPerDoubling = 8;

std::size_t rounded_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Sizes are rounded to one of eight a doubling, so that tensors of nearly one size share blocks.
std::size_t block_size(std::size_t bytes) { return rounded_up(bytes, std::bit_floor(bytes) / kClassesPerDoubling); }

// From the system, in huge pages as far as it has some; null where there is no memory.
void* map_block(std::size_t size) {
  const auto padded = size + kHugePage;
  void* mapped = ::mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(mapped);
  const auto aligned = rounded_up(begin, kHugePage);
  if (aligned > begin) ::munmap(mapped, aligned - begin);
  ::munmap(reinterpret_cast<void*>(aligned + size), begin + padded - aligned - size);
  ::madvise(reinterpret_cast<void*>(aligned), size, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(aligned);
}

class LargeBlocks {
 public:
  void* take(std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    const auto size = block_size(bytes);
    void* block = reuse(size);
    if (block == nullptr) block = map(size);
    if (block == nullptr) return nullptr;
    memory_.used += used_.at(block);
    memory_.most_used = std::max(memory_.most_used, memory_.used);
    trim();
    return block;
  }

  // False if the block is none of these.
  bool give(void* block) {
    if (reinterpret_cast<std::uintptr_t>(block) % kHugePage != 0) return false;
    const std::scoped_lock lock(mutex_);
    const auto found = used_.find(block);
    if (found == used_.end()) return false;
    const auto size = found->second;
    memory_.used -= size;
    memory_.kept += size;
    by_age_.push_back({block, size});
    by_size_.emplace(size, std::prev(by_age_.end()));
    used_.erase(found);
    trim();
    return true;
  }

  void set_headroom(double headroom) {
    const std::scoped_lock lock(mutex_);
    headroom_ = headroom;
    trim();
  }

  void release_kept() {
    const std::scoped_lock lock(mutex_);
    while (!by_age_.empty()) drop_oldest();
  }

  TensorMemory memory() {
    const std::scoped_lock lock(mutex_);
    return memory_;
  }

 private:
  struct Block {
    void* begin;
    std::size_t size;
  };
  using Place = std::list<Block>::iterator;

  // The smallest kept block that fits and is not much too large.
  void* reuse(std::size_t size) {
    const auto found = by_size_.lower_bound(size);
    if (found == by_size_.end() || found->first > size + size / 4) return nullptr;
    const auto place = found->second;
    by_size_.erase(found);
    return unkept(place);
  }

  void* unkept(Place place) {
    const auto [begin, size] = *place;
    memory_.kept -= size;
    used_.emplace(begin, size);
    by_age_.erase(place);
    return begin;
  }

  void* map(std::size_t size) {
    void* block = map_block(size);
    if (block == nullptr) {  // what is kept may be what is missing
      while (!by_age_.empty()) drop_oldest();
      block = map_block(size);
    }
    if (block != nullptr) used_.emplace(block, size);
    return block;
  }

  void trim() {
    const auto allowed = static_cast<std::size_t>(headroom_ * static_cast<double>(memory_.most_used));
    while (!by_age_.empty() && memory_.used + memory_.kept > allowed) drop_oldest();
  }

  void drop_oldest() {
    const auto place = by_age_.begin();
    auto [first, last] = by_size_.equal_range(place->size);
    while (first != last && first->second != place) ++first;
    by_size_.erase(first);
    memory_.kept -= place->size;
    ::munmap(place->begin, place->size);
    by_age_.erase(place);
  }

  std::mutex mutex_;
  double headroom_ = 0;
  TensorMemory memory_;
  std::unordered_map<void*, std::size_t> used_;
  std::list<Block> by_age_;  // the kept ones, freed longest ago first
  std::multimap<std::size_t, Place> by_size_;
};

LargeBlocks& large_blocks() {
  static auto* blocks = new LargeBlocks;  // outlives every tensor
  return *blocks;
}

void free_any(void* data) {
  if (data != nullptr && !large_blocks().give(data)) c10::free_cpu(data);
}

class ReusingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* data = bytes < kLargeTensorBlock ? c10::alloc_cpu(bytes) : large_blocks().take(bytes);
    if (data == nullptr && bytes > 0) {
      fail(ErrorKind::device, "there is no memory for a tensor of {:.1f} MiB; make the batch smaller",
           static_cast<double>(bytes) / (1 << 20));
    }
    return {data, data, &free_any, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_any; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }
};

constexpr std::uint8_t kPriority = 1;  // above LibTorch's own

}  // namespace

void reuse_tensor_memory(double headroom) {
  static ReusingAllocator allocator;
  large_blocks().set_headroom(headroom);
  c10::SetCPUAllocator(&allocator, kPriority);
}

void release_kept_tensor_memory() { large_blocks().release_kept(); }

OrdinaryTensorMemory::OrdinaryTensorMemory() : before_(c10::GetCPUAllocator()) {
  c10::SetCPUAllocator(c10::GetDefaultCPUAllocator(), kPriority);
}

OrdinaryTensorMemory::~OrdinaryTensorMemory() { c10::SetCPUAllocator(before_, kPriority); }

TensorMemory tensor_memory() { return large_blocks().memory(); }

}  // namespace melisma
