#include "data/signal/event_pitch.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace melisma {
namespace event_pitch_detail {
namespace {

constexpr std::size_t kFewestIntervals = 3;

// Where the line from value `a` at 0 to `b` at 1 crosses zero.
double crossing(double a, double b) { return -a / (b - a); }

}  // namespace
}  // namespace event_pitch_detail

void EventPitch::find(const double* samples, std::int64_t n, std::int64_t first, double rate_hz, bool is_start,
                      bool is_end, const FrameTimes& times) {
  using event_pitch_detail::crossing;
  for (auto& edges : edges_) edges.clear();
  for (std::int64_t i = 0; i + 1 < n; ++i) {
    const double a = samples[i], b = samples[i + 1];
    if (a > 0 ? b <= 0 : (a < 0 && b >= 0)) {
      edges_[a > 0 ? 0 : 1].push_back(static_cast<double>(first + i + 1) + crossing(a, b));
    }
    if (i + 2 >= n) break;
    const double rise = a - b, next = b - samples[i + 2];
    if (rise > 0 ? next <= 0 : (rise < 0 && next >= 0)) {
      edges_[rise > 0 ? 2 : 3].push_back(static_cast<double>(first + i + 1) + crossing(rise, next));
    }
  }
  is_empty_ = std::any_of(edges_.begin(), edges_.end(),
                          [](const auto& edges) { return edges.size() < event_pitch_detail::kFewestIntervals + 1; });
  if (is_empty_) return;
  for (std::size_t kind = 0; kind < edges_.size(); ++kind) {
    interpolate(edges_[kind], rate_hz, is_start, is_end, times, hz_[kind]);
  }
}

// The interval between two events stands for the moment halfway between them; in between, straight lines.
void EventPitch::interpolate(std::span<const double> edges, double rate_hz, bool is_start, bool is_end,
                             const FrameTimes& times, std::vector<double>& hz) const {
  hz.assign(static_cast<std::size_t>(times.count), std::numeric_limits<double>::quiet_NaN());
  const auto place = [&](std::size_t j) { return (edges[j] + edges[j + 1]) / 2 / rate_hz; };  // seconds
  const auto value = [&](std::size_t j) { return rate_hz / (edges[j + 1] - edges[j]); };
  const auto last_pair = edges.size() - 3;  // intervals j and j + 1 exist for j up to this
  std::int64_t k = 0;
  const auto time = [&](std::int64_t frame) { return times.first_s + static_cast<double>(frame) * times.step_s; };
  if (!is_start) {
    while (k < times.count && time(k) < place(0)) ++k;
  }
  for (std::size_t j = 0; j <= last_pair && k < times.count; ++j) {
    const auto from = place(j), to = place(j + 1), low = value(j), high = value(j + 1);
    const bool continues = j == last_pair && is_end;
    const auto slope = (high - low) / (to - from);
    for (; k < times.count && (continues || time(k) < to); ++k) {
      hz[static_cast<std::size_t>(k)] = low + (time(k) - from) * slope;
    }
  }
}

}  // namespace melisma
