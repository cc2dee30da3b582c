#include "tools/base/error.h"

namespace melisma {
namespace {

int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
    case ErrorKind::config:
      return 2;
    case ErrorKind::data:
    case ErrorKind::checkpoint:
      return 3;
    case ErrorKind::diverged:
      return 4;
    case ErrorKind::device:
    case ErrorKind::network:
      return 5;
    case ErrorKind::internal:
      return 70;
    case ErrorKind::interrupted:
      return 130;
  }
  return 70;
}

}  // namespace

std::string_view name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::config:
      return "config";
    case ErrorKind::data:
      return "data";
    case ErrorKind::checkpoint:
      return "checkpoint";
    case ErrorKind::diverged:
      return "diverged";
    case ErrorKind::device:
      return "device";
    case ErrorKind::network:
      return "network";
    case ErrorKind::internal:
      return "internal";
    case ErrorKind::interrupted:
      return "interrupted";
  }
  return "internal";
}

Error::Error(ErrorKind kind, std::string message)
    : kind_(kind), exit_code_(exit_code_of(kind)), message_(std::move(message)) {
  compose();
}

Error& Error::while_doing(std::string frame) {
  frames_.push_back(std::move(frame));
  compose();
  return *this;
}

Error& Error::rename(std::string_view name, std::string_view new_name) {
  for (auto at = message_.find(name); at != std::string::npos; at = message_.find(name, at + new_name.size())) {
    message_.replace(at, name.size(), new_name);
  }
  compose();
  return *this;
}

Error Error::interrupted(int signal_number, std::string message) {
  Error error(ErrorKind::interrupted, std::move(message));
  error.exit_code_ = 128 + signal_number;
  return error;
}

void Error::compose() {
  what_ = fmt::format("{}: {}", name_of(kind_), message_);
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    what_ += fmt::format("{}while {}", i == 0 ? " (" : "; ", frames_[i]);
  }
  if (!frames_.empty()) what_ += ")";
}

}  // namespace melisma
