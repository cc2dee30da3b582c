#include "infer/convert/windows.h"

#include <algorithm>

namespace melisma {

std::vector<FrameRange> encoder_windows(std::int64_t total, std::int64_t window, std::int64_t overlap) {
  if (total <= window) return {{0, total}};
  // As few windows as fit, all equally long, so that only neighbours meet.
  const std::int64_t count = (total - overlap + window - overlap - 1) / (window - overlap);
  const std::int64_t length = (total - overlap + count - 1) / count + overlap;
  std::vector<FrameRange> windows;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t first = std::min(i * (length - overlap), total - length);
    windows.push_back({first, first + length});
  }
  return windows;
}

}  // namespace melisma
