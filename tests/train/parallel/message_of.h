// What a rank on a thread ended with.
#pragma once
#include <exception>
#include <string>

namespace melisma::testing {

// The message of an outcome; empty for one that ended well.
inline std::string message_of(const std::exception_ptr& outcome) {
  if (!outcome) return {};
  try {
    std::rethrow_exception(outcome);
  } catch (const std::exception& problem) {
    return problem.what();
  }
}

}  // namespace melisma::testing
