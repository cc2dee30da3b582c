// The one error type: what went wrong, where, expected against found, and what to do next.
#pragma once
#include <fmt/format.h>

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace melisma {

// Why an action failed; each kind has one exit code.
enum class ErrorKind {
  usage,        // the command line is wrong: exit 2
  config,       // a setting is unknown, out of range or contradicts another: exit 2
  data,         // audio, dataset or other input cannot be used: exit 3
  checkpoint,   // weights or training state cannot be read, written or do not fit: exit 3
  diverged,     // training produced non-finite numbers past its limit: exit 4
  device,       // memory, disk or accelerator refuses: exit 5
  network,      // a port, peer or server refuses: exit 5
  internal,     // a defect of this program: exit 70
  interrupted,  // SIGINT or SIGTERM after saving: exit 130 or 143
};

[[nodiscard]] std::string_view name_of(ErrorKind kind);

// what() reads "<kind>: <message> (while <inner frame>; while <outer frame>)".
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message);
  // Adds a frame where meaning is known: error.while_doing("starting run alice").
  Error& while_doing(std::string frame);
  // The message with every `name` in it replaced: a temporary file by the one it was to become.
  Error& rename(std::string_view name, std::string_view new_name);
  [[nodiscard]] ErrorKind kind() const { return kind_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] const std::vector<std::string>& frames() const { return frames_; }
  [[nodiscard]] int exit_code() const { return exit_code_; }
  [[nodiscard]] const char* what() const noexcept override { return what_.c_str(); }
  // An interruption by `signal_number`: exit code 128 + signal.
  static Error interrupted(int signal_number, std::string message);

 private:
  void compose();
  ErrorKind kind_;
  int exit_code_;
  std::string message_;
  std::vector<std::string> frames_;
  std::string what_;
};

// Throws Error(kind, formatted message).
template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> text, Args&&... args) {
  throw Error(kind, fmt::format(text, std::forward<Args>(args)...));
}

// Runs action(); an Error that passes through gets the frame.
template <class Action>
decltype(auto) with_context(const std::string& frame, Action&& action) {
  try {
    return std::forward<Action>(action)();
  } catch (Error& error) {
    error.while_doing(frame);
    throw;
  }
}

}  // namespace melisma
