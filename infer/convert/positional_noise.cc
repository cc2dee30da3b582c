#include "infer/convert/positional_noise.h"

#include <ATen/CPUGeneratorImpl.h>

#include "tools/base/seed.h"

namespace melisma {

at::Tensor positional_normal(std::uint64_t seed, std::string_view stream, std::int64_t channels, std::int64_t first,
                             std::int64_t count) {
  constexpr std::int64_t kBlock = 256;
  auto noise = at::empty({channels, count}, at::kFloat);
  for (std::int64_t block = first / kBlock; block * kBlock < first + count; ++block) {
    auto generator = at::detail::createCPUGenerator(seed_of(seed, stream, {block}));
    const auto drawn = at::randn({channels, kBlock}, generator, at::kFloat);
    const std::int64_t begin = std::max(first, block * kBlock), end = std::min(first + count, (block + 1) * kBlock);
    noise.narrow(1, begin - first, end - begin).copy_(drawn.narrow(1, begin - block * kBlock, end - begin));
  }
  return noise;
}

}  // namespace melisma
