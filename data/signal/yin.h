// YIN: pitch from the dips of the cumulative mean normalised difference function (de Cheveigné and Kawahara 2002), with
// the conventions of librosa 0.11.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace melisma {

struct YinConfig {
  std::int64_t sample_rate_hz = 16000;
  double fmin_hz = 50;
  double fmax_hz = 1100;
  std::int64_t frame = 2048;  // samples looked at for one frame; at least two periods of fmin
  std::int64_t hop = 160;     // samples from frame to frame; frame t is centred on sample t*hop, zeros outside the wave
  double threshold = 0.1;     // yin: the first dip deeper than this wins

  [[nodiscard]] std::int64_t min_lag() const;  // floor(rate / fmax)
  [[nodiscard]] std::int64_t max_lag() const;  // ceil(rate / fmin), below frame
  [[nodiscard]] std::int64_t n_lags() const { return max_lag() - min_lag() + 1; }
  [[nodiscard]] std::int64_t n_frames(std::int64_t n_samples) const { return n_samples / hop + 1; }
  // Throws Error(config) unless 0 < fmin < fmax <= rate/2 and a period of fmin fits into a frame.
  void check() const;
};

// Two views of how a frame resembles itself shifted by a lag, for frames [first, first + count) of a mono wave, written
// as [frame][lag - min_lag], count * n_lags values each:
// d'(lag): YIN's cumulative mean normalised difference, dips at periods.
// correlation(lag): 2 sum x[i] x[i+lag] over the energies of both parts (McLeod's), peaks at periods, without the bias
// that d' has at low pitch; not computed when null.
// Frames that share samples share their products; the values of a frame do not depend on which others are asked for
// with it.
void normalised_difference(std::span<const float> wave, const YinConfig& config, std::int64_t first, std::int64_t count,
                           double* difference, double* correlation = nullptr);

// Both views of frames [first, first + count), rows of n_lags values.
struct LagChunk {
  std::int64_t first = 0, count = 0, n_lags = 0;
  std::vector<double> difference, correlation;
  // Of frame first + t.
  [[nodiscard]] std::span<const double> difference_of(std::int64_t t) const { return row(difference, t); }
  [[nodiscard]] std::span<const double> correlation_of(std::int64_t t) const { return row(correlation, t); }

 private:
  [[nodiscard]] std::span<const double> row(const std::vector<double>& values, std::int64_t t) const {
    return std::span(values).subspan(static_cast<std::size_t>(t * n_lags), static_cast<std::size_t>(n_lags));
  }
};

// Calls look(chunk) once for each chunk of the wave's frames. Chunks are shared out to OpenMP threads (0: as many as it
// gives), so look must write only to what belongs to its frames. `config` has passed its check().
void for_each_lag_chunk(std::span<const float> wave, const YinConfig& config, int threads,
                        const std::function<void(const LagChunk&)>& look);

// The period in samples at the peak of `correlation` nearest to entry i, between samples by parabolas there and at its
// multiples.
[[nodiscard]] double refined_period(std::span<const double> correlation, std::int64_t i, const YinConfig& config);

// Offset in (-1, 1) of the bottom of the parabola through d[i-1], d[i], d[i+1]; 0 at both ends and where it is no dip.
[[nodiscard]] double parabolic_offset(std::span<const double> d, std::int64_t i);

struct YinFrame {
  float f0_hz;         // of the first dip below the threshold, or of the deepest point (librosa.yin)
  float refined_hz;    // the same period at the peak of the correlation
  float aperiodicity;  // d' there: 0 periodic ... about 1 noise; 1 in digital silence
  bool has_dip;        // whether a dip below the threshold was found
};

// n_frames(samples) frames. Frames are shared out to OpenMP threads (0: as many as it gives); the result does not
// depend on how many.
[[nodiscard]] std::vector<YinFrame> yin(std::span<const float> wave, const YinConfig& config, int threads = 0);

}  // namespace melisma
