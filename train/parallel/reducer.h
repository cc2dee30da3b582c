// Sums one network's gradients over ranks in flat buckets, each sent off while the backward pass computes the others.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "train/parallel/group.h"

namespace melisma {

// One turn of a step:
//
//   reducer.expect();            // before the backward pass that ends the turn's gradients
//   losses.total.backward();     // each bucket starts as soon as its gradients, and the buckets before it, are there
//   is_bad = reducer.finish(is_bad);
//
// The last parameters come first, as a backward pass makes their gradients first. Gradients a rank does not have count
// as zero; those that no rank has are undefined afterwards. The gradients of a turn end up as views of the buckets,
// which hold until the next turn.
class Reducer {
 public:
  // `group` and the parameters' module must outlive this. Buckets hold at least one parameter each.
  Reducer(Group& group, const Ranks::NamedTensors& parameters, std::int64_t bucket_bytes);
  ~Reducer();
  Reducer(const Reducer&) = delete;
  Reducer& operator=(const Reducer&) = delete;

  void expect();
  // `bad` [] bool -> whether it holds on any rank, on the same device; where that is no CPU, nobody waits for it.
  // Throws what the network says.
  [[nodiscard]] at::Tensor finish(const at::Tensor& bad);

  [[nodiscard]] std::int64_t n_buckets() const { return std::ssize(buckets_); }
  // Buckets of the last turn that were under way before its backward pass was over.
  [[nodiscard]] std::int64_t n_overlapped() const { return n_overlapped_; }

 private:
  class Arrival;
  struct Slot {
    at::Tensor parameter;
    std::size_t bucket = 0;
    std::int64_t offset = 0;
    bool is_in = false;
  };
  struct Bucket {
    at::Tensor flat;  // [sum of the parameters' sizes]
    std::int64_t n_slots = 0, n_in = 0;
    std::unique_ptr<PendingSum> sum;
  };
  void arrive(std::size_t slot);
  void start_what_is_full();
  [[nodiscard]] at::Tensor view_of(const Slot& slot) const;

  Group& group_;
  std::vector<Slot> slots_;
  std::vector<Bucket> buckets_;
  at::Tensor status_;  // [1 + parameters] in the CPU's memory: whether something is bad, which have a gradient
  std::size_t n_started_ = 0;
  std::int64_t n_overlapped_ = 0;
  bool is_expecting_ = false;
};

}  // namespace melisma
