// Noise that belongs to a place: normal numbers as a function of (seed, stream, position), so that any chunking draws
// the same.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace melisma {

// Standard normal numbers [channels, count] (fp32) for positions first .. first + count - 1 of `stream`. Positions are
// drawn in blocks of 256, each from a generator seeded by (seed, stream, block): overlapping requests agree where they
// overlap.
[[nodiscard]] at::Tensor positional_normal(std::uint64_t seed, std::string_view stream, std::int64_t channels,
                                           std::int64_t first, std::int64_t count);

}  // namespace melisma
