// Randomness as a function, not a state: every draw comes from a seed computed from the run seed and where it is used.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace melisma {

// The 64-bit seed of stream `name` at `position` (for example {epoch, step, rank}). Equal arguments give equal seeds on
// every machine; any different argument gives an unrelated one (XXH3-64 over the little-endian values).
[[nodiscard]] std::uint64_t seed_of(std::uint64_t run_seed, std::string_view name,
                                    std::initializer_list<std::int64_t> position = {});

// A small generator for orders and choices outside Torch (SplitMix64; Steele, Lea, Flood 2014).
class RandomSource {
 public:
  explicit RandomSource(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  // Uniform in [0, 1) with 53 bits.
  double uniform();
  // Uniform in [0, n), n > 0, without modulo bias.
  std::uint64_t below(std::uint64_t n);
  // 0..n-1 in random order (Fisher-Yates).
  [[nodiscard]] std::vector<std::int64_t> permutation(std::int64_t n);

 private:
  std::uint64_t state_;
};

}  // namespace melisma
