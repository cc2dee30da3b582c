#include "tools/base/stop.h"

#include <atomic>
#include <csignal>

namespace melisma {
namespace {

std::atomic<int> stop_signal{0};

extern "C" void melisma_note_stop(int signal_number) {
  if (stop_signal.exchange(signal_number) == signal_number) {
    std::signal(signal_number, SIG_DFL);
    std::raise(signal_number);
  }
}

}  // namespace

void install_stop_handlers() {
  struct sigaction action = {};
  action.sa_handler = melisma_note_stop;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int stop_requested() { return stop_signal.load(); }

void request_stop(int signal_number) { stop_signal.store(signal_number); }

}  // namespace melisma
