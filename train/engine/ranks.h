// The seam between the loop and the processes that share its work. One process needs none: OneRank is the identity.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace melisma {

// Which part of each batch is this process's: rank counts from 0.
struct Shard {
  std::int64_t rank = 0, size = 1;
  // The first of `n` items that are rank `of`'s: shares differ by one at most, and rank 0 always has an item.
  [[nodiscard]] std::int64_t first_of(std::int64_t n, std::int64_t of) const { return (of * n + size - 1) / size; }
  [[nodiscard]] std::int64_t first_of(std::int64_t n) const { return first_of(n, rank); }
  [[nodiscard]] std::int64_t count_of(std::int64_t n) const { return first_of(n, rank + 1) - first_of(n, rank); }
};

// N processes that make the same decisions and train the same weights. Every call but the first two is collective: all
// ranks make the same calls in the same order. Each throws Error(network) naming the rank that is lost and why.
class Ranks {
 public:
  using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

  virtual ~Ranks() = default;
  [[nodiscard]] virtual Shard shard() const = 0;
  // After an Error(network): whether this rank is to save what there is, the first one of those that are left.
  [[nodiscard]] virtual bool leads_what_is_left() const = 0;

  // Called once: the parameters whose gradients each network's turns sum, in an order that is the same everywhere.
  // Throws Error(config) naming the first parameter that another rank has not, or in another shape.
  virtual void join(const std::vector<std::pair<std::string, NamedTensors>>& networks) = 0;
  // The next backward pass is the last one of this network's turn: gradients may be sent off as they become final.
  virtual void expect_gradients(std::size_t network) = 0;
  // Ends the turn: every parameter's gradient becomes the sum over ranks, undefined where no rank has one. Returns
  // whether `bad` [] bool holds on any rank.
  [[nodiscard]] virtual at::Tensor sum_gradients(std::size_t network, const at::Tensor& bad) = 0;

  // Overwrites the tensors with those of rank 0.
  virtual void copy_from_first(const std::vector<at::Tensor>& tensors) = 0;
  // The sum over ranks of each value; every rank gets the same.
  [[nodiscard]] virtual std::vector<double> sum(std::vector<double> values) = 0;
  // The largest value of any rank.
  [[nodiscard]] virtual std::int64_t largest(std::int64_t value) = 0;

  [[nodiscard]] bool is_first() const { return shard().rank == 0; }
  [[nodiscard]] bool is_alone() const { return shard().size == 1; }
  // Rank 0's text and rank 0's numbers (as many as here).
  [[nodiscard]] std::string text_of_first(const std::string& text);
  [[nodiscard]] std::vector<double> numbers_of_first(std::vector<double> values);
  // Returns when every rank has come here.
  void meet() { (void)sum({}); }
};

class OneRank final : public Ranks {
 public:
  [[nodiscard]] Shard shard() const override { return {}; }
  [[nodiscard]] bool leads_what_is_left() const override { return true; }
  void join(const std::vector<std::pair<std::string, NamedTensors>>&) override {}
  void expect_gradients(std::size_t) override {}
  [[nodiscard]] at::Tensor sum_gradients(std::size_t, const at::Tensor& bad) override { return bad; }
  void copy_from_first(const std::vector<at::Tensor>&) override {}
  [[nodiscard]] std::vector<double> sum(std::vector<double> values) override { return values; }
  [[nodiscard]] std::int64_t largest(std::int64_t value) override { return value; }
};

// The one process of a training that is not shared.
[[nodiscard]] Ranks& one_rank();

}  // namespace melisma
