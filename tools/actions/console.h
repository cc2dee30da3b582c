// Where actions talk to the person at the terminal.
#pragma once
#include <memory>

#include "tools/base/event.h"

namespace melisma {

// Messages and progress on stderr, and progress in the job's folder where this process is a job; more sinks may be
// added.
[[nodiscard]] std::unique_ptr<EventHub> console_events();

}  // namespace melisma
