// Exact null distributions that rank tests read: counts of permutations, subsets and arrangements, as shares.
#pragma once
#include <cstdint>
#include <span>

namespace melisma {

// P(at most `inversions` inversions in a random permutation of n).
[[nodiscard]] double share_of_permutations(int64_t inversions, int64_t n);

// P(sum of a random subset <= limit), each weight in it with probability 1/2; weights are non-negative integers.
[[nodiscard]] double share_of_subsets(std::span<const int64_t> weights, int64_t limit);

// P(Mann-Whitney U <= limit) for samples of n and m values without ties.
[[nodiscard]] double share_of_arrangements(int64_t limit, int64_t n, int64_t m);

}  // namespace melisma
