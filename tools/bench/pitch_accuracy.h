// How well each pitch method hears voices whose pitch is known.
#pragma once
#include <string>
#include <vector>

#include "tools/bench/benchmark.h"

namespace melisma {

// Every method and a few combinations on known_voices(seconds_each): over all frames, and raw pitch accuracy a voice.
// Methods that cannot be measured, for lack of weights, stay in the table; why is added to `remarks`.
[[nodiscard]] std::vector<BenchmarkTable> pitch_accuracy(double seconds_each, std::vector<std::string>& remarks);

}  // namespace melisma
