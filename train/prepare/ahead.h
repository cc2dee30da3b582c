// Two halves of one job, side by side: making pieces in order on another thread, and using them in order on this one.
#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace melisma {

// Calls `use` with every piece that `make` gives until it gives none. With `is_parallel` the pieces are made on a
// thread of their own, at most `kPiecesAhead` before their use; what is made and used, and in which order, stays the
// same. An exception of `make` is thrown after all earlier pieces were used, one of `use` once the other thread has
// ended.
template <class Piece>
class Ahead {
 public:
  static constexpr std::size_t kPiecesAhead = 4;

  static void run(bool is_parallel, const std::function<std::optional<Piece>()>& make,
                  const std::function<void(Piece)>& use) {
    if (is_parallel) {
      Ahead(make).use_all(use);
      return;
    }
    while (auto piece = make()) use(*std::move(piece));
  }

 private:
  explicit Ahead(const std::function<std::optional<Piece>()>& make) : maker_([this, &make] { make_all(make); }) {}
  ~Ahead() {
    {
      const std::lock_guard lock(mutex_);
      is_abandoned_ = true;
    }
    changed_.notify_all();
    maker_.join();
  }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  void make_all(const std::function<std::optional<Piece>()>& make) {
    std::exception_ptr failure;
    try {
      while (auto piece = make()) {
        if (!put(*std::move(piece))) break;
      }
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    failure_ = failure;
    is_finished_ = true;
    changed_.notify_all();
  }

  // False if nobody will take it.
  bool put(Piece piece) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return pieces_.size() < kPiecesAhead || is_abandoned_; });
    if (is_abandoned_) return false;
    pieces_.push_back(std::move(piece));
    changed_.notify_all();
    return true;
  }

  std::optional<Piece> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !pieces_.empty() || is_finished_; });
    if (pieces_.empty()) {
      if (failure_) std::rethrow_exception(failure_);
      return std::nullopt;
    }
    std::optional<Piece> piece(std::move(pieces_.front()));
    pieces_.pop_front();
    changed_.notify_all();
    return piece;
  }

  void use_all(const std::function<void(Piece)>& use) {
    while (auto piece = take()) use(*std::move(piece));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> pieces_;
  bool is_finished_ = false, is_abandoned_ = false;
  std::exception_ptr failure_;
  std::thread maker_;  // last: it uses all of the above
};

}  // namespace melisma
