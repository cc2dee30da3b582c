// The ranks of one training as processes: collective calls, and who is lost when one of them breaks.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "train/parallel/group.h"
#include "train/parallel/reducer.h"

namespace melisma {

// Every rank leaves a sign of life in the notes several times within the timeout, so that after a break those left know
// who is gone or hangs (no sign), who failed and why (it said so), and who is merely busy.
class ProcessRanks final : public Ranks {
 public:
  ProcessRanks(std::unique_ptr<Group> group, double bucket_mb);
  ~ProcessRanks() override;
  ProcessRanks(const ProcessRanks&) = delete;
  ProcessRanks& operator=(const ProcessRanks&) = delete;

  [[nodiscard]] Shard shard() const override { return group_->place(); }
  [[nodiscard]] bool leads_what_is_left() const override { return is_leading_; }
  void join(const std::vector<std::pair<std::string, NamedTensors>>& networks) override;
  void expect_gradients(std::size_t network) override { reducers_.at(network)->expect(); }
  [[nodiscard]] at::Tensor sum_gradients(std::size_t network, const at::Tensor& bad) override;
  void copy_from_first(const std::vector<at::Tensor>& tensors) override;
  [[nodiscard]] std::vector<double> sum(std::vector<double> values) override;
  [[nodiscard]] std::int64_t largest(std::int64_t value) override;

  // Throws Error(config) on every rank, naming the first line of `text` that one rank has otherwise than rank 0.
  // `what`: "settings", "parameters".
  void require_same(const std::string& what, const std::string& text);
  // Before a rank that ends for a reason of its own is gone: lets the others say why. Nothing for ends that all ranks
  // come to together: divergence, a stop, a lost rank, settings that differ.
  void say_why(const std::exception& reason);
  // The end of a training that went well: returns when no rank needs another any more.
  void leave();
  [[nodiscard]] const Reducer& reducer(std::size_t network) const { return *reducers_.at(network); }

 private:
  template <class Action>
  decltype(auto) together(Action&& action);
  void beat();
  [[noreturn]] void call_the_roll(const std::string& problem);
  void await_questions(const std::vector<std::int64_t>& ranks);

  std::unique_ptr<Group> group_;
  std::int64_t bucket_bytes_;
  std::vector<std::unique_ptr<Reducer>> reducers_;
  bool is_leading_ = false;
  bool is_common_end_ = false;
  double beat_seconds_;
  std::atomic<bool> is_over_ = false;
  std::thread heart_;
};

}  // namespace melisma
