// Recursive filters in double: Butterworth design, second-order sections, direct form, forward and forward-backward.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

// b0 b1 b2 over 1 a1 a2 in powers of 1/z.
struct Section {
  double b0 = 1, b1 = 0, b2 = 0, a1 = 0, a2 = 0;
};
using Sections = std::vector<Section>;

// Numerator and denominator in powers of 1/z, equally long, a[0] = 1.
struct Polynomials {
  std::vector<double> b, a;
};

enum class FilterKind { low, high, band, band_stop };

// Zeros, poles and gain of an order-`order` Butterworth filter by the bilinear transform (scipy.signal.butter); corners
// in Hz are the -3 dB points: one for low and high, two rising ones for band and band_stop (which double the order).
// Throws Error(config) unless 0 < corner < rate/2 and order >= 1.
[[nodiscard]] Sections butterworth_sections(int order, FilterKind kind, std::span<const double> corners_hz,
                                            double sample_rate_hz);
// The same as one fraction. Ill conditioned for low corners (order 5 at 48 Hz and 16 kHz: 3e-8 of rounding): for
// comparison with programs that filter so, and for short orders.
[[nodiscard]] Polynomials butterworth_polynomials(int order, FilterKind kind, std::span<const double> corners_hz,
                                                  double sample_rate_hz);

// State of a cascade: two numbers a section (transposed direct form II).
using SectionState = std::vector<std::array<double, 2>>;

// The state in which a constant input of 1 stays at its final output (scipy.signal.sosfilt_zi, lfilter_zi).
[[nodiscard]] SectionState settled_state(const Sections& sections);
[[nodiscard]] std::vector<double> settled_state(const Polynomials& filter);

// Filters in place from `state` (empty = at rest) and leaves the state for the next block in it.
void filter_sections(const Sections& sections, std::span<double> samples, SectionState& state);
void filter_sections(const Sections& sections, std::span<float> samples, SectionState& state);  // state in double
// y of one direct-form fraction (scipy.signal.lfilter), `state` as above, order numbers.
[[nodiscard]] std::vector<double> filter_direct(const Polynomials& filter, std::span<const double> samples,
                                                std::vector<double> state = {});

// Forward and backward, both ends extended by odd reflection of scipy's default length (scipy.signal.sosfiltfilt,
// filtfilt). Throws Error(data) if the signal is not longer than that extension.
[[nodiscard]] std::vector<double> filter_both_ways(const Sections& sections, std::span<const double> samples);
[[nodiscard]] std::vector<double> filter_both_ways(const Polynomials& filter, std::span<const double> samples);

// Forward and backward where the first and the last sample go on for ever, of which n_tail samples are computed: as
// many as the filter needs to forget. Any length.
[[nodiscard]] std::vector<double> filter_both_ways_held(const Sections& sections, std::span<const double> samples,
                                                        std::size_t n_tail);

// The same by sections on floats, in place: memory does not grow with the length. Between the passes samples are
// rounded to float.
void filter_both_ways_in_place(const Sections& sections, std::span<float> samples);
// How many samples each end is extended by; a signal must be longer.
[[nodiscard]] std::size_t n_extension(const Sections& sections);

// Gain in dB at one frequency.
[[nodiscard]] double response_db(const Sections& sections, double frequency_hz, double sample_rate_hz);

// The RVC tools' rumble filter on a stream: Butterworth high-pass, order 5, 48 Hz, forward only.
class HighPass {
 public:
  explicit HighPass(std::int64_t sample_rate_hz, double corner_hz = 48, int order = 5);
  // In place; blocks of any size give the same as the whole signal.
  void process(std::span<float> block) { filter_sections(sections_, block, state_); }

 private:
  Sections sections_;
  SectionState state_;
};

}  // namespace melisma
