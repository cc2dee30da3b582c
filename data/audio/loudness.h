// Loudness by ITU-R BS.1770 and EBU R 128 (libebur128): integrated, momentary, short-term, range, true peak.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "data/audio/waveform.h"

namespace melisma {

// What a meter measures beside integrated loudness and range.
struct LoudnessParts {
  bool true_peak = true;  // costs as much as everything else together
  bool maxima = true;     // max_momentary_lufs() and max_short_term_lufs(): half as much
};

// Measures a stream. Channels of 1 to 5 are taken as M, L R, L R C, L R Ls Rs, L R C Ls Rs. All levels are minus
// infinity where nothing passes the gates (silence, less than one 400 ms block).
class LoudnessMeter {
 public:
  // What `parts` leaves out is not available. Throws Error(config) for a rate or a number of channels out of range.
  LoudnessMeter(std::int64_t sample_rate_hz, std::int64_t n_channels, const LoudnessParts& parts = {});
  ~LoudnessMeter();
  LoudnessMeter(LoudnessMeter&&) noexcept;
  LoudnessMeter& operator=(LoudnessMeter&&) noexcept;

  void add(const Waveform& wave);
  void add_interleaved(std::span<const double> samples);

  [[nodiscard]] double integrated_lufs() const;
  [[nodiscard]] double relative_threshold_lufs() const;
  [[nodiscard]] double range_lu() const;         // LRA, from 3 s blocks every second
  [[nodiscard]] double momentary_lufs() const;   // the last 400 ms; minus infinity before they are filled
  [[nodiscard]] double short_term_lufs() const;  // the last 3 s; minus infinity before they are filled
  // The largest of both so far, read every 10 ms once they are filled.
  [[nodiscard]] double max_momentary_lufs() const;
  [[nodiscard]] double max_short_term_lufs() const;
  [[nodiscard]] double sample_peak_db() const;
  [[nodiscard]] double true_peak_db() const;  // four-fold oversampled (two-fold from 96 kHz)

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct Loudness {
  double integrated_lufs, range_lu, max_momentary_lufs, max_short_term_lufs, true_peak_db, sample_peak_db;
};

// Everything about a whole signal.
[[nodiscard]] Loudness measure_loudness(const Waveform& wave);

}  // namespace melisma
