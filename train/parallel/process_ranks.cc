#include "train/parallel/process_ranks.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "train/parallel/roll_call.h"

namespace melisma {
namespace {

constexpr double kBytesPerMb = 1e6;
constexpr double kLongestBeatSeconds = 1.0;
constexpr double kBeatsPerTimeout = 8;
constexpr double kFarewellSeconds = 5;

std::string line_after(std::istringstream& text) {
  std::string line;
  return std::getline(text, line) ? line : "nothing";
}

// "rank 1 has 'a' where rank 0 has 'b'", for the first line that differs.
std::string first_difference(const std::string& first, const std::string& other, std::int64_t rank) {
  std::istringstream left(first), right(other);
  for (;;) {
    const auto a = line_after(left), b = line_after(right);
    if (a != b) return fmt::format("rank {} has {} where rank 0 has {}", rank, b, a);
    if (!left && !right) return {};
  }
}

}  // namespace

ProcessRanks::ProcessRanks(std::unique_ptr<Group> group, double bucket_mb)
    : group_(std::move(group)),
      bucket_bytes_(static_cast<std::int64_t>(bucket_mb * kBytesPerMb)),
      beat_seconds_(std::min(kLongestBeatSeconds, group_->timeout_seconds() / kBeatsPerTimeout)),
      heart_([this] { beat(); }) {}

ProcessRanks::~ProcessRanks() {
  is_over_ = true;
  heart_.join();
}

void ProcessRanks::beat() {
  const auto key = sign_of_life(shard().rank);
  try {
    const auto notes = group_->notes()->again();
    for (std::int64_t count = 0; !is_over_; ++count) {
      notes->write(key, std::to_string(count));
      const auto next = std::chrono::steady_clock::now() + std::chrono::duration<double>(beat_seconds_);
      while (!is_over_ && std::chrono::steady_clock::now() < next) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
  } catch (const std::exception&) {
    // the notes are out of reach: the next collective call says so
  }
}

// Runs a collective call; when it breaks, finds out who is lost.
template <class Action>
decltype(auto) ProcessRanks::together(Action&& action) {
  try {
    return std::forward<Action>(action)();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& problem) {
    call_the_roll(problem.what_without_backtrace());
  } catch (const std::exception& problem) {
    call_the_roll(problem.what());
  }
}

void ProcessRanks::call_the_roll(const std::string& problem) {
  group_->disconnect();
  const auto roll = roll_call(*group_, beat_seconds_);
  is_leading_ = roll.leader == shard().rank;
  is_common_end_ = true;
  await_questions(roll.left());
  fail(ErrorKind::network, "{}", roll.sentence(problem.substr(0, problem.find('\n'))));
}

void ProcessRanks::join(const std::vector<std::pair<std::string, NamedTensors>>& networks) {
  std::ostringstream text;
  for (const auto& [network, parameters] : networks) {
    for (const auto& [name, tensor] : parameters) {
      text << network << " '" << name << "' " << tensor.sizes() << ' ' << c10::toString(tensor.scalar_type()) << '\n';
    }
  }
  require_same("parameters", text.str());
  for (const auto& [network, parameters] : networks) {
    reducers_.push_back(std::make_unique<Reducer>(*group_, parameters, bucket_bytes_));
  }
}

at::Tensor ProcessRanks::sum_gradients(std::size_t network, const at::Tensor& bad) {
  return together([&] { return reducers_.at(network)->finish(bad); });
}

void ProcessRanks::copy_from_first(const std::vector<at::Tensor>& tensors) {
  together([&] {
    for (const auto& tensor : tensors) group_->broadcast(tensor);
  });
}

std::vector<double> ProcessRanks::sum(std::vector<double> values) {
  const auto n = values.size();
  values.push_back(0);  // ranks meet even where there is nothing to sum
  const auto total = at::tensor(values, at::kDouble);
  together([&] { group_->sum(total); });
  const auto* data = total.const_data_ptr<double>();
  return {data, data + n};
}

std::int64_t ProcessRanks::largest(std::int64_t value) {
  const auto all = at::full({1}, value, at::kLong);
  together([&] { group_->largest(all); });
  return all.item<std::int64_t>();
}

void ProcessRanks::require_same(const std::string& what, const std::string& text) {
  const auto [rank, size] = shard();
  const auto notes = group_->notes();
  const auto key = [&](const char* part, std::int64_t of) { return fmt::format("same/{}/{}/{}", what, part, of); };
  std::string difference;
  together([&] {
    notes->write(key("text", rank), text);
    notes->write(key("hash", rank), content_hash(text));
    const auto await = [&](const std::string& name) {
      if (auto found = notes->await(name, group_->timeout_seconds())) return *found;
      throw std::runtime_error("no answer within the timeout");
    };
    const auto expected = await(key("hash", 0));
    for (std::int64_t other = 1; other < size && difference.empty(); ++other) {
      if (await(key("hash", other)) == expected) continue;
      difference = first_difference(await(key("text", 0)), await(key("text", other)), other);
    }
    (void)sum({});  // nobody leaves before all have read
  });
  if (!difference.empty()) {
    is_common_end_ = true;
    fail(ErrorKind::config, "the ranks differ in their {}: {}; start all of them with the same settings and files",
         what, difference);
  }
}

void ProcessRanks::say_why(const std::exception& reason) {
  const auto* error = dynamic_cast<const Error*>(&reason);
  const bool is_shared =
      error != nullptr && (error->kind() == ErrorKind::diverged || error->kind() == ErrorKind::interrupted);
  if (is_common_end_ || is_shared) return;
  try {
    group_->notes()->write(reason_of_end(shard().rank), reason.what());
    group_->disconnect();
  } catch (const std::exception&) {
    return;  // nobody is left to ask
  }
  std::vector<std::int64_t> others;
  for (std::int64_t rank = 1; rank < shard().size; ++rank) others.push_back(rank);
  await_questions(others);
}

// The notes end with rank 0: it stays until these ranks have read what happened, a few seconds at most.
void ProcessRanks::await_questions(const std::vector<std::int64_t>& ranks) {
  if (shard().rank != 0) return;
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(kFarewellSeconds);
  try {
    for (const auto rank : ranks) {
      const std::chrono::duration<double> left = until - std::chrono::steady_clock::now();
      (void)group_->notes()->await(sign_of_knowing(rank), std::max(0.0, left.count()));
    }
  } catch (const std::exception&) {
    // nobody is left to ask
  }
}

void ProcessRanks::leave() {
  together([&] {
    const auto notes = group_->notes();
    const auto key = [](std::int64_t rank) { return fmt::format("left/{}", rank); };
    if (shard().rank != 0) return notes->write(key(shard().rank), "well");
    for (std::int64_t other = 1; other < shard().size; ++other) {
      (void)notes->await(key(other), group_->timeout_seconds());
    }
  });
}

}  // namespace melisma
