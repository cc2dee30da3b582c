// What each economy of the RVC training step is worth: `melisma bench rvc-step --ablate`.
#pragma once
#include "tools/bench/benchmark.h"
#include "tools/bench/rvc_step_forms.h"

namespace melisma {

// One thread, CPU seconds, every form in turn `repeats` times after one that is not counted. The table says by how much
// a step is faster with a switch: alone, against the step with all of them off, and beside all the others.
[[nodiscard]] BenchmarkTable ablate_rvc_step(const RvcSettings& settings, const Batch& batch, int repeats);

// What batches cost a step, by the clock: made by the real loader on the step's thread, made meanwhile on another one,
// or there already. One thread for the step; clips of 3 s in a dataset of this program's format.
[[nodiscard]] BenchmarkTable ablate_rvc_loader(const RvcSettings& settings, int repeats);

}  // namespace melisma
