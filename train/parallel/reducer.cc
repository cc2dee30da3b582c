#include "train/parallel/reducer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace melisma {

// Called by the backward pass when a parameter's gradient is complete.
class Reducer::Arrival final : public torch::autograd::PostAccumulateGradHook {
 public:
  Arrival(Reducer& reducer, std::size_t slot) : reducer_(reducer), slot_(slot) {}
  void operator()(const at::Tensor&) override {
    if (reducer_.is_expecting_) reducer_.arrive(slot_);
  }

 private:
  Reducer& reducer_;
  std::size_t slot_;
};

Reducer::Reducer(Group& group, const Ranks::NamedTensors& parameters, std::int64_t bucket_bytes) : group_(group) {
  std::vector<std::int64_t> sizes;  // elements of each bucket
  for (auto parameter = parameters.rbegin(); parameter != parameters.rend(); ++parameter) {
    const auto& tensor = parameter->second;
    const auto fits = [&] {
      const auto& first = slots_.back().parameter;  // of the same bucket
      return first.options().type_equal(tensor.options()) &&
             (sizes.back() + tensor.numel()) * static_cast<std::int64_t>(tensor.element_size()) <= bucket_bytes;
    };
    if (sizes.empty() || !fits()) sizes.push_back(0);
    slots_.push_back({.parameter = tensor, .bucket = sizes.size() - 1, .offset = sizes.back()});
    sizes.back() += tensor.numel();
  }
  buckets_.resize(sizes.size());
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    auto& bucket = buckets_[slots_[slot].bucket];
    const auto options = slots_[slot].parameter.options().requires_grad(false);
    if (!bucket.flat.defined()) bucket.flat = at::zeros({sizes[slots_[slot].bucket]}, options);
    bucket.n_slots += 1;
    torch::autograd::impl::set_post_acc_grad_hooks(slots_[slot].parameter, std::make_unique<Arrival>(*this, slot));
  }
  status_ = at::zeros({1 + std::ssize(slots_)}, at::kFloat);
}

Reducer::~Reducer() {
  for (const auto& slot : slots_) torch::autograd::impl::set_post_acc_grad_hooks(slot.parameter, nullptr);
}

at::Tensor Reducer::view_of(const Slot& slot) const {
  return buckets_[slot.bucket].flat.narrow(0, slot.offset, slot.parameter.numel()).view(slot.parameter.sizes());
}

void Reducer::expect() {
  for (auto& slot : slots_) slot.is_in = false;
  for (auto& bucket : buckets_) bucket.n_in = 0;
  status_.zero_();
  n_started_ = 0;
  is_expecting_ = true;
}

void Reducer::arrive(std::size_t index) {
  const c10::NoGradGuard no_grad;
  auto& slot = slots_[index];
  if (slot.is_in) return;
  if (slot.parameter.grad().defined()) {
    view_of(slot).copy_(slot.parameter.grad());
    status_.data_ptr<float>()[1 + index] = 1;
  } else {
    view_of(slot).zero_();
  }
  slot.is_in = true;
  buckets_[slot.bucket].n_in += 1;
  start_what_is_full();
}

// In the buckets' order, which is the same on every rank.
void Reducer::start_what_is_full() {
  for (; n_started_ < buckets_.size(); ++n_started_) {
    auto& bucket = buckets_[n_started_];
    if (bucket.n_in < bucket.n_slots) return;
    bucket.sum = group_.start_sum(bucket.flat);
  }
}

at::Tensor Reducer::finish(const at::Tensor& bad) {
  const c10::NoGradGuard no_grad;
  is_expecting_ = false;
  n_overlapped_ = static_cast<std::int64_t>(n_started_);
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) arrive(slot);  // what no backward pass brought
  const auto bad_there = bad.is_cpu() ? at::Tensor() : bad.to(at::kFloat).view({1});
  if (bad.is_cpu()) status_.data_ptr<float>()[0] = bad.item<bool>() ? 1 : 0;
  const auto status = group_.start_sum(status_);
  const auto all_bad = bad_there.defined() ? group_.start_sum(bad_there) : nullptr;
  for (auto& bucket : buckets_) bucket.sum->wait();
  status->wait();
  const auto* counts = status_.const_data_ptr<float>();
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    const auto& parameter = slots_[slot].parameter;
    parameter.mutable_grad() = counts[1 + slot] > 0 ? view_of(slots_[slot]) : at::Tensor();
  }
  if (!all_bad) return at::full_like(bad, counts[0] > 0);
  all_bad->wait();
  return bad_there.squeeze(0) > 0;
}

}  // namespace melisma
