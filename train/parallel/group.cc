#include "train/parallel/group.h"

#include <ATen/ATen.h>
#include <c10/util/Logging.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"
#include "train/parallel/nccl.h"

namespace melisma {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kGlance{20}, kRetry{100};

milliseconds as_milliseconds(double seconds) { return milliseconds(static_cast<std::int64_t>(seconds * 1000)); }

std::string host_and_pid() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return fmt::format("{}, pid {}", name.data(), ::getpid());
}

class StoreNotes final : public Group::Notes {
 public:
  explicit StoreNotes(c10::intrusive_ptr<c10d::Store> store) : store_(std::move(store)) {}
  void write(const std::string& key, const std::string& text) override {
    store_->set(key, std::vector<std::uint8_t>(text.begin(), text.end()));
  }
  std::optional<std::string> read(const std::string& key) override {
    if (!store_->check({key})) return std::nullopt;
    return get(key);
  }
  std::optional<std::string> await(const std::string& key, double seconds) override {
    const auto until = Clock::now() + as_milliseconds(seconds);
    while (!store_->check({key})) {
      if (Clock::now() >= until) return std::nullopt;
      std::this_thread::sleep_for(kGlance);
    }
    return get(key);
  }
  std::shared_ptr<Group::Notes> again() override { return std::make_shared<StoreNotes>(store_->clone()); }

 private:
  std::string get(const std::string& key) {
    const auto bytes = store_->get(key);
    return {bytes.begin(), bytes.end()};
  }
  c10::intrusive_ptr<c10d::Store> store_;
};

class OwnSum final : public PendingSum {
 public:
  explicit OwnSum(c10::intrusive_ptr<c10d::Work> sum) : sum_(std::move(sum)) {}
  void wait() override { sum_->wait(); }

 private:
  c10::intrusive_ptr<c10d::Work> sum_;
};

// Of a copy in the CPU's memory.
class CopiedSum final : public PendingSum {
 public:
  CopiedSum(c10::intrusive_ptr<c10d::Work> sum, at::Tensor copy, at::Tensor tensor)
      : sum_(std::move(sum)), copy_(std::move(copy)), tensor_(std::move(tensor)) {}
  void wait() override {
    sum_->wait();
    tensor_.copy_(copy_);
  }

 private:
  c10::intrusive_ptr<c10d::Work> sum_;
  at::Tensor copy_, tensor_;
};

void stop_if_asked() {
  if (const int signal = stop_requested(); signal != 0) {
    throw Error::interrupted(signal, "stopped before the ranks had met; nothing was trained");
  }
}

// Waits until somebody listens there: rank 0 may start later.
void await_listener(const Meeting& meeting) {
  const auto until = Clock::now() + as_milliseconds(meeting.timeout_seconds);
  for (;;) {
    const auto left = std::chrono::duration<double>(until - Clock::now()).count();
    const auto problem = problem_of_reaching(meeting.address, meeting.port, std::clamp(left, 0.1, 1.0));
    if (problem.empty()) return;
    stop_if_asked();
    if (Clock::now() >= until) {
      fail(ErrorKind::network,
           "rank {} could not reach rank 0 at {} for {:g} s: {}; see that rank 0 runs there and that no firewall is "
           "between, or raise distributed.timeout",
           meeting.place.rank, place_text(meeting.address, meeting.port), meeting.timeout_seconds, problem);
    }
    std::this_thread::sleep_for(kRetry);
  }
}

c10::intrusive_ptr<c10d::Store> open_store(Meeting& meeting) {
  c10d::TCPStoreOptions options;
  options.port = meeting.port;
  options.isServer = meeting.listener != nullptr;
  options.waitWorkers = false;
  options.timeout = as_milliseconds(meeting.timeout_seconds);
  if (options.isServer) {
    options.masterListenFd = meeting.listener->release();
  } else {
    await_listener(meeting);
  }
  auto store = c10::make_intrusive<c10d::TCPStore>(meeting.address, options);
  return c10::make_intrusive<c10d::PrefixStore>("melisma/" + meeting.notes_prefix, std::move(store));
}

// Returns when all ranks have signed in.
void await_everyone(Group::Notes& notes, const Meeting& meeting) {
  notes.write(fmt::format("who/{}", meeting.place.rank), host_and_pid());
  const auto until = Clock::now() + as_milliseconds(meeting.timeout_seconds);
  for (;;) {
    std::vector<std::int64_t> missing;
    for (std::int64_t rank = 0; rank < meeting.place.size; ++rank) {
      if (!notes.read(fmt::format("who/{}", rank))) missing.push_back(rank);
    }
    if (missing.empty()) return;
    stop_if_asked();
    if (Clock::now() >= until) {
      fail(ErrorKind::network, "{} {} of {} did not come to {} within {:g} s; see why, or raise distributed.timeout",
           missing.size() == 1 ? "rank" : "ranks", fmt::join(missing, ", "), meeting.place.size,
           place_text(meeting.address, meeting.port), meeting.timeout_seconds);
    }
    std::this_thread::sleep_for(kGlance);
  }
}

void check_interface(const std::string& name) {
  if (name.empty() || ::if_nametoindex(name.c_str()) != 0) return;
  std::vector<std::string> known;
  auto* const all = ::if_nameindex();
  for (const auto* one = all; one != nullptr && one->if_index != 0; ++one) known.emplace_back(one->if_name);
  ::if_freenameindex(all);
  throw Error(ErrorKind::config, unknown_name_message("network interface", name, known));
}

c10::intrusive_ptr<c10d::ProcessGroupGloo> connect(const c10::intrusive_ptr<c10d::Store>& store,
                                                   const Meeting& meeting) {
  auto options = c10d::ProcessGroupGloo::Options::create(as_milliseconds(meeting.timeout_seconds));
  const auto address = own_address_towards(meeting.address, meeting.port);
  const auto device = meeting.interface.empty() ? c10d::ProcessGroupGloo::createDeviceForHostname(address)
                                                : c10d::ProcessGroupGloo::createDeviceForInterface(meeting.interface);
  options->devices.push_back(device);
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, static_cast<int>(meeting.place.rank),
                                                     static_cast<int>(meeting.place.size), std::move(options));
}

// What c10d threw, as one sentence.
std::string sentence_of(const std::exception& problem) {
  const auto* error = dynamic_cast<const c10::Error*>(&problem);
  const std::string text = error != nullptr ? error->what_without_backtrace() : problem.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace

struct Group::State {
  Meeting meeting;
  c10::intrusive_ptr<c10d::Store> store;
  std::shared_ptr<Group::Notes> notes;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
  c10::intrusive_ptr<c10d::Backend> nccl;  // null unless it is asked for
};

Group::Group(Meeting meeting) : state_(std::make_unique<State>()) {
  FLAGS_caffe2_log_level = 3;  // c10d would write stack traces of what is told in one sentence here
  state_->meeting = std::move(meeting);
  auto& own = *state_;
  check_interface(own.meeting.interface);
  bool is_everyone_there = false;
  try {
    own.store = open_store(own.meeting);
    own.notes = std::make_shared<StoreNotes>(own.store);
    await_everyone(*own.notes, own.meeting);
    is_everyone_there = true;
    own.gloo = connect(own.store, own.meeting);
    if (own.meeting.use_nccl) {
      own.nccl =
          open_nccl(c10::make_intrusive<c10d::PrefixStore>("nccl", own.store), static_cast<int>(own.meeting.place.rank),
                    static_cast<int>(own.meeting.place.size), as_milliseconds(own.meeting.timeout_seconds));
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception& problem) {
    if (!is_everyone_there) {
      fail(ErrorKind::network, "rank 0 left {} before all {} ranks had come, see what it says ({})", meeting_place(),
           own.meeting.place.size, sentence_of(problem));
    }
    fail(ErrorKind::network,
         "the ranks met at {} but could not connect to each other: {}; if this machine has several networks, name the "
         "right one in distributed.interface",
         meeting_place(), sentence_of(problem));
  }
}

Group::~Group() = default;

Shard Group::place() const { return state_->meeting.place; }
double Group::timeout_seconds() const { return state_->meeting.timeout_seconds; }
std::string Group::meeting_place() const { return place_text(state_->meeting.address, state_->meeting.port); }
std::shared_ptr<Group::Notes> Group::notes() const { return state_->notes; }

void Group::disconnect() {
  if (state_->nccl) state_->nccl->abort();  // or a sum that waits for a lost rank would hold the GPU for ever
  state_->nccl.reset();
  state_->gloo.reset();
}

std::unique_ptr<PendingSum> Group::start_sum(const at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor};
  if (tensor.is_cpu()) return std::make_unique<OwnSum>(state_->gloo->allreduce(tensors));
  if (state_->nccl) return std::make_unique<OwnSum>(state_->nccl->allreduce(tensors));
  tensors.front() = tensor.to(at::kCPU);
  return std::make_unique<CopiedSum>(state_->gloo->allreduce(tensors), tensors.front(), tensor);
}

void Group::largest(const at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor};
  c10d::AllreduceOptions options;
  options.reduceOp = c10d::ReduceOp::MAX;
  state_->gloo->allreduce(tensors, options)->wait();
}

void Group::broadcast(const at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor};
  if (state_->nccl && !tensor.is_cpu()) {
    state_->nccl->broadcast(tensors)->wait();
    return;
  }
  tensors.front() = tensor.to(at::kCPU);
  state_->gloo->broadcast(tensors)->wait();
  if (!tensor.is_cpu()) tensor.copy_(tensors.front());
}

}  // namespace melisma
