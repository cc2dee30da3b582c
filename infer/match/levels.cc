#include "infer/match/levels.h"

#include <algorithm>
#include <cmath>

#include "data/signal/vector.h"
#include "infer/match/share_out.h"

namespace melisma {
namespace match_levels_detail {
namespace {

double root_mean_square(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

[[gnu::always_inline]] inline void keep_larger(Vec4& most, const Vec4& v) { most = v > most ? v : most; }
[[gnu::always_inline]] inline void keep_largest_size(Vec4& most, const Vec4& v) {
  keep_larger(most, v);
  keep_larger(most, -v);
}
[[gnu::always_inline]] inline double sum_of(const Vec4& v) { return (v[0] + v[1]) + (v[2] + v[3]); }
[[gnu::always_inline]] inline double largest_of(const Vec4& v) {
  return std::max(std::max(v[0], v[1]), std::max(v[2], v[3]));
}

// sums[0] = sum of mid^2, sums[1] = largest |mid|, sums[2] = largest |sample|.
MELISMA_CLONES MELISMA_PLAIN_MAXIMA void measure(const double* left, const double* right, std::int64_t n,
                                                 double* sums) {
  Vec4 energy0{}, energy1{}, mid_peak{}, peak{};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const Vec4 l0 = *vec4_at(left + i), r0 = *vec4_at(right + i);
    const Vec4 l1 = *vec4_at(left + i + 4), r1 = *vec4_at(right + i + 4);
    const Vec4 m0 = (l0 + r0) * 0.5, m1 = (l1 + r1) * 0.5;
    energy0 += m0 * m0;
    energy1 += m1 * m1;
    keep_largest_size(mid_peak, m0);
    keep_largest_size(mid_peak, m1);
    for (const auto* v : {&l0, &r0, &l1, &r1}) keep_largest_size(peak, *v);
  }
  double energy = sum_of(energy0 + energy1), mid_most = largest_of(mid_peak), most = largest_of(peak);
  for (; i < n; ++i) {
    const double mid = (left[i] + right[i]) * 0.5;
    energy += mid * mid;
    mid_most = std::max(mid_most, std::abs(mid));
    most = std::max(most, std::max(std::abs(left[i]), std::abs(right[i])));
  }
  sums[0] = energy, sums[1] = mid_most, sums[2] = most;
}

// The sum of min(|gain mid|, 1)^2.
MELISMA_CLONES MELISMA_PLAIN_MAXIMA double measure_clipped(const double* left, const double* right, std::int64_t n,
                                                           double gain) {
  const double half = 0.5 * gain;
  const Vec4 one{1, 1, 1, 1};
  Vec4 energy0{}, energy1{};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const Vec4 m0 = (*vec4_at(left + i) + *vec4_at(right + i)) * half;
    const Vec4 m1 = (*vec4_at(left + i + 4) + *vec4_at(right + i + 4)) * half;
    const Vec4 e0 = m0 * m0, e1 = m1 * m1;
    energy0 += e0 < one ? e0 : one;
    energy1 += e1 < one ? e1 : one;
  }
  double energy = sum_of(energy0 + energy1);
  for (; i < n; ++i) {
    const double mid = (left[i] + right[i]) * half;
    energy += std::min(mid * mid, 1.0);
  }
  return energy;
}

}  // namespace
}  // namespace match_levels_detail

PieceSizes piece_sizes(std::int64_t n_frames, const MatchConfig& config) {
  const double longest = config.max_piece_s * static_cast<double>(config.sample_rate_hz);
  const auto divisions = static_cast<std::int64_t>(static_cast<double>(n_frames) / longest) + 1;
  return {divisions, n_frames / divisions};
}

PieceLevels levels_of(std::vector<double> rmses) {
  using match_levels_detail::root_mean_square;
  PieceLevels levels{.rmses = std::move(rmses)};
  levels.average = root_mean_square(levels.rmses);
  std::vector<double> loud;
  const auto take = [&](std::size_t piece) {
    levels.loudest.push_back(static_cast<std::int64_t>(piece));
    loud.push_back(levels.rmses[piece]);
  };
  for (std::size_t piece = 0; piece < levels.rmses.size(); ++piece) {
    if (levels.rmses[piece] >= levels.average) take(piece);
  }
  if (loud.empty()) {  // all equally loud, and the average rounded up
    take(static_cast<std::size_t>(std::ranges::max_element(levels.rmses) - levels.rmses.begin()));
  }
  levels.match_rms = root_mean_square(loud);
  return levels;
}

PieceLevels scaled(PieceLevels levels, double gain) {
  for (auto& rms : levels.rmses) rms *= gain;
  levels.average *= gain;
  levels.match_rms *= gain;
  return levels;
}

PieceMeter::PieceMeter(const StereoSignal& signal, const MatchConfig& config)
    : signal_(signal), sizes_(piece_sizes(signal.n_frames(), config)) {
  pieces_.resize(static_cast<std::size_t>(sizes_.divisions) + 1);  // the last one is what no piece takes
  share_out(sizes_.divisions + 1, [&](std::int64_t piece) {
    const auto first = piece * sizes_.piece;
    const auto count = piece < sizes_.divisions ? sizes_.piece : signal.n_frames() - first;
    double sums[3];
    match_levels_detail::measure(signal.left.data() + first, signal.right.data() + first, count, sums);
    pieces_[static_cast<std::size_t>(piece)] = {sums[0], sums[1], sums[2]};
  });
  for (const auto& piece : pieces_) peak_ = std::max(peak_, piece.peak);
}

double PieceMeter::clipped_energy(std::int64_t piece, double gain) const {
  const auto first = piece * sizes_.piece;
  return match_levels_detail::measure_clipped(signal_.left.data() + first, signal_.right.data() + first, sizes_.piece,
                                              gain);
}

PieceLevels PieceMeter::levels(double gain, bool is_clipped) const {
  std::vector<double> rmses(static_cast<std::size_t>(sizes_.divisions));
  share_out(sizes_.divisions, [&](std::int64_t piece) {
    const auto& measured = pieces_[static_cast<std::size_t>(piece)];
    const bool reaches_full_scale = is_clipped && gain * measured.mid_peak > 1;
    const double energy = reaches_full_scale ? clipped_energy(piece, gain) : gain * gain * measured.energy;
    rmses[static_cast<std::size_t>(piece)] = std::sqrt(energy / static_cast<double>(sizes_.piece));
  });
  return levels_of(std::move(rmses));
}

}  // namespace melisma
