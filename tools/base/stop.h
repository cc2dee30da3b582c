// A polite stop: SIGINT and SIGTERM set a flag that long actions ask between pieces of work.
#pragma once

namespace melisma {

// From now on SIGINT and SIGTERM only set the flag; a second one of the same kind ends the process at once.
void install_stop_handlers();

// The number of the signal that asked for a stop, 0 if none did.
[[nodiscard]] int stop_requested();

// Sets (or, with 0, clears) the flag; for tests and for callers that finish early.
void request_stop(int signal_number);

}  // namespace melisma
