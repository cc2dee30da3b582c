#include "tools/base/seed.h"

#include <xxhash.h>

#include <numeric>
#include <string>
#include <utility>

namespace melisma {
namespace {

void append_little_endian(std::string& bytes, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

}  // namespace

std::uint64_t seed_of(std::uint64_t run_seed, std::string_view name, std::initializer_list<std::int64_t> position) {
  std::string bytes;
  append_little_endian(bytes, run_seed);
  append_little_endian(bytes, name.size());
  bytes.append(name);
  for (const auto value : position) append_little_endian(bytes, static_cast<std::uint64_t>(value));
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::uint64_t RandomSource::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

double RandomSource::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

std::uint64_t RandomSource::below(std::uint64_t n) {
  const std::uint64_t threshold = -n % n;
  for (;;) {
    const std::uint64_t value = next();
    if (value >= threshold) return value % n;
  }
}

std::vector<std::int64_t> RandomSource::permutation(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::swap(order[static_cast<std::size_t>(i)], order[below(static_cast<std::uint64_t>(i) + 1)]);
  }
  return order;
}

}  // namespace melisma
