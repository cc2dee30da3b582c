#include "infer/match/peak_limiter.h"

#include <algorithm>

#include "data/effects/peak_gain.h"
#include "infer/match/share_out.h"

namespace melisma {

std::vector<float> peak_envelope(const StereoSignal& signal) {
  const auto n = signal.left.size();
  std::vector<float> left(n), right(n);
  share_out(2, [&](std::int64_t which) {
    const auto& channel = which == 0 ? signal.left : signal.right;
    auto& peaks = which == 0 ? left : right;
    TruePeak meter;
    constexpr std::size_t kReach = TruePeak::kReach;
    for (std::size_t i = 0; i < n + kReach; ++i) {
      const float peak = meter.next(i < n ? static_cast<float>(channel[i]) : 0.0F);
      if (i >= kReach) peaks[i - kReach] = peak;
    }
  });
  for (std::size_t i = 0; i < n; ++i) left[i] = std::max(left[i], right[i]);
  return left;
}

LimiterGain gain_below(const std::vector<float>& envelope, double level, double ceiling, std::int64_t sample_rate_hz,
                       const ImprovedConfig& how) {
  LimiterGain made;
  const double scale = level / ceiling;
  for (const float peak : envelope) made.n_over += scale * double{peak} > 1 ? 1 : 0;
  if (made.n_over == 0) return made;
  const auto late = static_cast<std::size_t>(how.look_ahead_ms / 1000 * static_cast<double>(sample_rate_hz));
  PeakGain gain(static_cast<std::int64_t>(late) + 1, how.release_ms, sample_rate_hz);
  const auto n = envelope.size();
  made.gain.resize(n);
  for (std::size_t i = 0; i < n + late; ++i) {
    const double over = i < n ? scale * double{envelope[i]} : 0;
    const double smooth = gain.next(over > 1 ? 1 / over : 1);
    if (i >= late) made.gain[i - late] = smooth;
  }
  return made;
}

}  // namespace melisma
