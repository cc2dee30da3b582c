// A process group: how ranks find each other, sum tensors, and keep notes that each of them can read.
#pragma once
#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "train/engine/ranks.h"
#include "train/parallel/listener.h"

namespace melisma {

// Where and how ranks meet.
struct Meeting {
  Shard place;
  std::string address;
  std::uint16_t port = 0;
  std::unique_ptr<Listener> listener;  // rank 0's, unless the place is kept by somebody else
  std::string interface;               // gradients go through it; empty = what leads to the address
  double timeout_seconds = 300;
  std::string notes_prefix;  // of this start among several at one place
  bool use_nccl = false;     // tensors of this process's current GPU are summed by NCCL; otherwise the CPU sums copies
};

// A sum under way.
class PendingSum {
 public:
  virtual ~PendingSum() = default;
  // Returns when the tensor holds the sum. Throws what the network says.
  virtual void wait() = 0;
};

// Gloo on c10d, and NCCL for GPUs that ask for it. Collective calls are made in the same order on every rank; what goes
// wrong in them is a std::exception of c10d's, after which the group is of no more use. Errors in meeting are
// Error(network).
class Group {
 public:
  // Returns when every rank is there. Throws Error(network) naming the ranks that did not come in time, or what cannot
  // be reached; Error(interrupted) when a stop is asked for meanwhile.
  explicit Group(Meeting meeting);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  [[nodiscard]] Shard place() const;
  [[nodiscard]] double timeout_seconds() const;
  [[nodiscard]] std::string meeting_place() const;  // "127.0.0.1:29500"

  // Sums in place over ranks; the bits are the same everywhere. The tensor is contiguous and stays as it is until the
  // sum is there.
  [[nodiscard]] std::unique_ptr<PendingSum> start_sum(const at::Tensor& tensor);
  void sum(const at::Tensor& tensor) { start_sum(tensor)->wait(); }
  void largest(const at::Tensor& tensor);
  void broadcast(const at::Tensor& tensor);  // rank 0's

  // Notes that every rank can read, kept where rank 0 is met.
  class Notes;
  [[nodiscard]] std::shared_ptr<Notes> notes() const;

  // Ends the connections: whoever waits for this rank notices at once. Notes go on.
  void disconnect();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Throws std::exceptions of c10d's when the place is out of reach; may then also wait for long.
class Group::Notes {
 public:
  virtual ~Notes() = default;
  virtual void write(const std::string& key, const std::string& text) = 0;
  // Nothing if nobody wrote it yet.
  [[nodiscard]] virtual std::optional<std::string> read(const std::string& key) = 0;
  // Waits for it, at most `seconds`; nothing then.
  [[nodiscard]] virtual std::optional<std::string> await(const std::string& key, double seconds) = 0;
  // Another connection to the same notes: one that waits does not hold the other up.
  [[nodiscard]] virtual std::shared_ptr<Notes> again() = 0;
};

}  // namespace melisma
