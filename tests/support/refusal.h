// The words with which something is refused.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tools/base/error.h"

namespace melisma::testing {

// The message of the Error that `action` ends with, "no error" if it ends well. An Error of another kind fails the
// test.
template <class Action>
std::string refusal_of(ErrorKind kind, Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const Error& error) {
    EXPECT_EQ(name_of(error.kind()), name_of(kind));
    return error.message();
  }
  return "no error";
}

// Everything the Error says, its context included, whatever its kind; "no error" if `action` ends well.
template <class Action>
std::string message_of(Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace melisma::testing
