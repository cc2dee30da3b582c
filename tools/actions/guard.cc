#include "tools/actions/guard.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <new>

#include "tools/base/error.h"

namespace melisma {

int guard_action(const std::function<int()>& action) {
  const auto complain = [](const std::string& text) { fmt::print(stderr, "melisma: {}\n", text); };
  try {
    return action();
  } catch (const Error& error) {
    complain(error.what());
    return error.exit_code();
  } catch (const c10::Error& error) {
    complain(fmt::format("internal: {} (this is a defect; please report the command and this line)",
                         error.what_without_backtrace()));
    return 70;
  } catch (const std::bad_alloc&) {
    complain("device: out of memory; use a smaller batch or shorter chunks");
    return 5;
  } catch (const std::exception& error) {
    complain(fmt::format("internal: {} (this is a defect; please report the command and this line)", error.what()));
    return 70;
  }
}

}  // namespace melisma
