// Starts the ranks of a training as processes of this machine, and sees to it that none is left behind. Torch-free.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "train/parallel/listener.h"

namespace melisma {

struct Launch {
  std::vector<std::string> command;  // program and arguments of every rank
  std::int64_t processes = 2;
  std::int64_t threads_each = 0;       // computing threads of a rank; 0 = as the environment says
  std::unique_ptr<Listener> listener;  // where they meet: rank 0 gets it
  double timeout_seconds = 300;        // in which ranks notice themselves that one is lost
};

// Environment variable that tells rank 0 the descriptor of the listener it was given.
inline constexpr const char* kListenerVariable = "MELISMA_LISTEN_FD";

// Runs the ranks to their end, each told its place as torchrun tells it. Rank 0 has this process's output; what the
// others write on stderr is kept, and shown if they fail. SIGINT and SIGTERM go on to every rank once. Returns the exit
// code that all ranks agree on; otherwise throws Error(network, or what the first one failed of) naming the rank and
// how it ended. Ranks that do not end after one was lost are stopped, and killed in the end; should this process die,
// they are stopped too.
int run_ranks(Launch launch);

}  // namespace melisma
