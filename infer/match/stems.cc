#include "infer/match/stems.h"

#include <algorithm>

#include "data/effects/decibels.h"
#include "tools/base/error.h"

namespace melisma {
namespace match_stems_detail {
namespace {

void add_part(const std::vector<double>& from, std::int64_t first, double factor, std::span<double> to) {
  const auto n = static_cast<std::int64_t>(from.size());
  const auto count = std::clamp<std::int64_t>(n - first, 0, static_cast<std::int64_t>(to.size()));
  const double* samples = from.data() + std::min(first, n);
  for (std::int64_t i = 0; i < count; ++i) to[static_cast<std::size_t>(i)] += factor * samples[i];
}

}  // namespace
}  // namespace match_stems_detail

StemFactors factors_of(const StemControl& control, double master_gain_db) {
  if (control.is_muted) return {0, 0};
  const double gain = factor_of_db(control.gain_db + master_gain_db);
  return {gain * (1 - control.blend), gain * control.blend};
}

std::int64_t n_frames_of(const std::vector<StemTrack>& tracks) {
  std::int64_t n = 0;
  for (const auto& track : tracks) n = std::max({n, track.dry.n_frames(), track.wet.n_frames()});
  return n;
}

void mix_stems(const std::vector<StemTrack>& tracks, const MixControls& controls, std::int64_t first,
               std::span<double> left, std::span<double> right) {
  using match_stems_detail::add_part;
  std::ranges::fill(left, 0.0);
  std::ranges::fill(right, 0.0);
  for (std::size_t i = 0; i < tracks.size(); ++i) {
    const auto factors = factors_of(controls.stems.at(i), controls.master_gain_db);
    for (const auto& [signal, factor] : {std::pair{&tracks[i].dry, factors.dry}, {&tracks[i].wet, factors.wet}}) {
      if (factor == 0) continue;
      add_part(signal->left, first, factor, left);
      add_part(signal->right, first, factor, right);
    }
  }
}

void add_stem(StereoSignal& sum, const StereoSignal& stem, double factor) {
  if (sum.n_frames() == 0) sum.sample_rate_hz = stem.sample_rate_hz;
  if (sum.sample_rate_hz != stem.sample_rate_hz) {
    fail(ErrorKind::data, "the stems of a song are at {} and {} Hz; give them one rate first", sum.sample_rate_hz,
         stem.sample_rate_hz);
  }
  const auto n = static_cast<std::size_t>(std::max(sum.n_frames(), stem.n_frames()));
  sum.left.resize(n);
  sum.right.resize(n);
  match_stems_detail::add_part(stem.left, 0, factor, sum.left);
  match_stems_detail::add_part(stem.right, 0, factor, sum.right);
}

}  // namespace melisma
