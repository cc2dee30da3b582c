// How fast a band-limited signal oscillates, from the distances between its events: falling and rising zero crossings,
// peaks and dips. The first stage of Harvest and DIO.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

// Moments at which something is asked, evenly spaced: first_s + k * step_s for k < count.
struct FrameTimes {
  double first_s = 0, step_s = 0;
  std::int64_t count = 0;
};

class EventPitch {
 public:
  // Finds the events of samples[0 ... n), of which the first is number `first` of a longer signal at rate_hz. Before
  // the first and behind the last interval between two events of a kind, the two nearest intervals are continued in a
  // straight line where the signal itself begins or ends there; elsewhere nothing is known.
  void find(const double* samples, std::int64_t n, std::int64_t first, double rate_hz, bool is_start, bool is_end,
            const FrameTimes& times);

  // Hz by each kind of event, at each of the times; NaN where unknown. Empty if any kind has fewer than three
  // intervals.
  [[nodiscard]] bool is_empty() const { return is_empty_; }
  [[nodiscard]] const std::vector<double>& by(std::size_t kind) const { return hz_[kind]; }
  // Their mean.
  [[nodiscard]] double mean(std::size_t frame) const {
    return (hz_[0][frame] + hz_[1][frame] + hz_[2][frame] + hz_[3][frame]) / 4;
  }

 private:
  void interpolate(std::span<const double> edges, double rate_hz, bool is_start, bool is_end, const FrameTimes& times,
                   std::vector<double>& hz) const;

  std::array<std::vector<double>, 4> edges_;  // where events of each kind lie, in samples of the longer signal
  std::array<std::vector<double>, 4> hz_;     // [kind][frame]
  bool is_empty_ = true;
};

}  // namespace melisma
