// Independent pieces of work on all cores.
#pragma once
#include <cstddef>
#include <functional>

namespace melisma {

// The processors this process may use.
[[nodiscard]] int n_usable_processors();

// Calls work(0) ... work(count - 1), each once, on up to `threads` threads; which thread runs which piece must not
// matter. Ends early when a stop is requested (tools/base/stop.h) or a piece throws: the exception of the lowest piece
// is rethrown. False if pieces were left undone because of a stop.
bool for_each_parallel(std::size_t count, int threads, const std::function<void(std::size_t)>& work);

}  // namespace melisma
