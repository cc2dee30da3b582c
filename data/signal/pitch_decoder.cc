#include "data/signal/pitch_decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/signal/vector.h"

namespace melisma {
namespace pitch_decoder_detail {
namespace {

constexpr std::int64_t kSegmentFrames = 512;  // values kept at a time; earlier segments are computed again going back
constexpr double kTiny = std::numeric_limits<double>::min();
const double kImpossible = std::log(kTiny);  // weight of a move or observation of probability zero

// Log-likelihoods of all states at one time, with room for moves past both ends.
struct Values {
  std::vector<double> voiced, unvoiced;  // [n_bins]
};

// inside[j] = max over |i - j| <= half_width of padded[half_width + i] + kernel[|i - j|], j < n (rounded up to 8).
MELISMA_CLONES MELISMA_PLAIN_MAXIMA void best_moves(const double* padded, const double* kernel, std::int64_t half_width,
                                                    std::int64_t n, double* inside) {
  for (std::int64_t j = 0; j < n; j += 8) {
    const auto* centre = padded + half_width + j;
    Vec4 low = *vec4_at(centre) + kernel[0], high = *vec4_at(centre + 4) + kernel[0];
    for (std::int64_t d = 1; d <= half_width; ++d) {
      const Vec4 low_left = *vec4_at(centre - d), low_right = *vec4_at(centre + d);
      const Vec4 high_left = *vec4_at(centre - d + 4), high_right = *vec4_at(centre + d + 4);
      const Vec4 low_moved = (low_left > low_right ? low_left : low_right) + kernel[d];
      const Vec4 high_moved = (high_left > high_right ? high_left : high_right) + kernel[d];
      low = low > low_moved ? low : low_moved;
      high = high > high_moved ? high : high_moved;
    }
    *vec4_at(inside + j) = low;
    *vec4_at(inside + j + 4) = high;
  }
}

class Decoder {
 public:
  Decoder(std::span<const PitchObservation> observations, const PitchDecoderConfig& config)
      : observations_(observations),
        n_(config.n_bins),
        half_(config.half_width),
        stay_(std::log(1 - config.switch_probability)),
        turn_(std::log(config.switch_probability)),
        kernel_(static_cast<std::size_t>(half_ + 1)),
        row_(static_cast<std::size_t>(n_)),
        padded_(static_cast<std::size_t>((n_ + 7) / 8 * 8 + 2 * half_ + 8), -std::numeric_limits<double>::infinity()),
        moves_{std::vector<double>(padded_.size()), std::vector<double>(padded_.size())} {
    std::vector<double> weight(kernel_.size());
    for (std::int64_t d = 0; d <= half_; ++d) {
      weight[index(d)] = static_cast<double>(half_ + 1 - d) / static_cast<double>(half_ + 1);
      kernel_[index(d)] = std::log(weight[index(d)]);
    }
    for (std::int64_t i = 0; i < n_; ++i) {  // a row of the transition matrix is divided by its sum inside the range
      double sum = 0;
      for (auto j = std::max<std::int64_t>(0, i - half_); j <= std::min(n_ - 1, i + half_); ++j) {
        sum += weight[index(std::abs(i - j))];
      }
      row_[index(i)] = std::log(sum);
    }
  }

  std::vector<std::int32_t> run() {
    const auto n_frames = static_cast<std::int64_t>(observations_.size());
    std::vector<Values> starts;  // values of the first frame of each segment
    std::vector<Values> segment;
    for (std::int64_t first = 0; first < n_frames; first += kSegmentFrames) {
      starts.push_back(first == 0 ? initial() : step(segment.back(), first));
      segment = run_segment(starts.back(), first);
    }
    std::vector<std::int32_t> states(static_cast<std::size_t>(n_frames));
    std::int64_t state = best_state(segment.back());
    for (auto first = static_cast<std::int64_t>(starts.size() - 1) * kSegmentFrames; first >= 0;
         first -= kSegmentFrames) {
      const auto count = std::min(kSegmentFrames, n_frames - first);
      if (first + count < n_frames) {  // the last segment is still there; the others are computed again
        segment = run_segment(starts[index(first / kSegmentFrames)], first);
        state = origin(segment.back(), state);
      }
      for (auto t = count - 1; t >= 0; --t) {
        states[index(first + t)] = static_cast<std::int32_t>(state);
        if (t > 0) state = origin(segment[index(t - 1)], state);
      }
    }
    return states;
  }

 private:
  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

  void observe(Values& values, std::int64_t frame) const {
    const auto& seen = observations_[index(frame)];
    const auto unvoiced = std::log(seen.unvoiced + kTiny);
    for (auto& value : values.unvoiced) value += unvoiced;
    std::size_t next = 0;
    for (std::int64_t j = 0; j < n_; ++j) {
      const bool hit = next < seen.voiced.size() && seen.voiced[next].bin == j;
      values.voiced[index(j)] += hit ? std::log(seen.voiced[next].probability + kTiny) : kImpossible;
      next += hit;
    }
  }

  [[nodiscard]] Values initial() const {
    const auto uniform = std::log(1.0 / static_cast<double>(2 * n_) + kTiny);
    Values values{std::vector<double>(index(n_), uniform), std::vector<double>(index(n_), uniform)};
    observe(values, 0);
    return values;
  }

  [[nodiscard]] double jump(const Values& before) const {  // the best that an impossible move brings
    return std::max(*std::max_element(before.voiced.begin(), before.voiced.end()),
                    *std::max_element(before.unvoiced.begin(), before.unvoiced.end())) +
           kImpossible;
  }

  void moves_of(const std::vector<double>& values, std::vector<double>& inside) {
    for (std::int64_t i = 0; i < n_; ++i) padded_[index(half_ + i)] = values[index(i)] - row_[index(i)];
    best_moves(padded_.data(), kernel_.data(), half_, n_, inside.data());
  }

  Values step(const Values& before, std::int64_t frame) {
    moves_of(before.voiced, moves_[0]);
    moves_of(before.unvoiced, moves_[1]);
    const auto outside = jump(before);
    Values values{std::vector<double>(index(n_)), std::vector<double>(index(n_))};
    for (std::size_t j = 0; j < index(n_); ++j) {
      const auto from_voiced = moves_[0][j], from_unvoiced = moves_[1][j];
      values.voiced[j] = std::max({from_voiced + stay_, from_unvoiced + turn_, outside});
      values.unvoiced[j] = std::max({from_voiced + turn_, from_unvoiced + stay_, outside});
    }
    observe(values, frame);
    return values;
  }

  std::vector<Values> run_segment(const Values& start, std::int64_t first) {
    const auto count = std::min(kSegmentFrames, static_cast<std::int64_t>(observations_.size()) - first);
    std::vector<Values> values;
    values.reserve(index(count));
    values.push_back(start);
    for (std::int64_t t = 1; t < count; ++t) values.push_back(step(values.back(), first + t));
    return values;
  }

  [[nodiscard]] std::int64_t best_state(const Values& values) const {
    const auto voiced = std::max_element(values.voiced.begin(), values.voiced.end());
    const auto unvoiced = std::max_element(values.unvoiced.begin(), values.unvoiced.end());
    return *unvoiced > *voiced ? n_ + (unvoiced - values.unvoiced.begin()) : voiced - values.voiced.begin();
  }

  // The state before that leads to `state` best; the first of equals.
  [[nodiscard]] std::int64_t origin(const Values& before, std::int64_t state) const {
    const bool is_voiced = state < n_;
    const auto j = is_voiced ? state : state - n_;
    auto best = -std::numeric_limits<double>::infinity();
    std::int64_t from = 0;
    for (const bool was_voiced : {true, false}) {
      const auto& values = was_voiced ? before.voiced : before.unvoiced;
      const auto turn = was_voiced == is_voiced ? stay_ : turn_;
      for (auto i = std::max<std::int64_t>(0, j - half_); i <= std::min(n_ - 1, j + half_); ++i) {
        const auto value = values[index(i)] - row_[index(i)] + kernel_[index(std::abs(i - j))] + turn;
        if (value > best) {
          best = value;
          from = was_voiced ? i : n_ + i;
        }
      }
    }
    const auto outside = jump(before);
    const auto leap = best_state(before);
    return outside > best || (outside == best && leap < from) ? leap : from;
  }

  std::span<const PitchObservation> observations_;
  std::int64_t n_, half_;
  double stay_, turn_;
  std::vector<double> kernel_;  // [half_width + 1] ln of the triangle
  std::vector<double> row_;     // [n_bins] ln of the sums of the transition matrix' rows
  std::vector<double> padded_;
  std::vector<double> moves_[2];
};

}  // namespace
}  // namespace pitch_decoder_detail

std::vector<std::int32_t> decode_pitch(std::span<const PitchObservation> observations,
                                       const PitchDecoderConfig& config) {
  if (observations.empty()) return {};
  return pitch_decoder_detail::Decoder(observations, config).run();
}

}  // namespace melisma
