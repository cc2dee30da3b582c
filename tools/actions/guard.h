// Turns whatever an action throws into one line on stderr and an exit code.
#pragma once
#include <functional>

namespace melisma {

// Runs `action`; Error, c10::Error and std exceptions become "melisma: <what>" on stderr and their exit code.
int guard_action(const std::function<int()>& action);

template <auto Action>
struct Guarded;

template <class Options, int (*Action)(const Options&)>
struct Guarded<Action> {
  static int run(const Options& options) {
    return guard_action([&options] { return Action(options); });
  }
};

// guarded<train> is a function like train that never throws.
template <auto Action>
inline constexpr auto guarded = &Guarded<Action>::run;

}  // namespace melisma
