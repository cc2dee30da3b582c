// Opens libmelisma_engine.so, which holds everything that includes Torch, when a command computes.
#pragma once
#include "tools/actions/actions.h"
#include "tools/cli/command.h"

namespace melisma {

// The engine's actions. The first call sets thread counts and OpenMP waiting, then opens the library (0.3 s).
// Throws Error(internal) if it is missing or damaged.
[[nodiscard]] const EngineActions& engine(const GlobalOptions& global);

}  // namespace melisma
