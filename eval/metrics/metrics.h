// The table of metrics: what is measured between a reference recording and an estimate of it. Torch-free.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/metrics/mel_cepstrum.h"

namespace melisma {

// One mono wave and what several metrics need of it, computed when first asked for. Not for two threads at once.
class MeasuredWave {
 public:
  MeasuredWave(std::span<const float> samples, int64_t sample_rate_hz);
  MeasuredWave(MeasuredWave&&) noexcept;
  ~MeasuredWave();

  [[nodiscard]] int64_t sample_rate_hz() const;
  [[nodiscard]] const std::vector<float>& samples() const;
  [[nodiscard]] bool is_silent() const;  // no sample above 1e-6
  [[nodiscard]] bool is_finite() const;
  [[nodiscard]] const std::vector<float>& at_16k() const;
  [[nodiscard]] const std::vector<double>& f0_hz() const;  // pyin, 50 to 1100 Hz, 100 frames/s, 0 = unvoiced
  [[nodiscard]] const Cepstra& cepstra() const;            // of the wave at 16 kHz, order 24, alpha .42
  [[nodiscard]] double integrated_lufs() const;            // minus infinity under 400 ms or below the gate

 private:
  struct Facets;
  std::unique_ptr<Facets> facets_;
};

// A number, or the reason why there is none. Suites leave such clips out of means and count them.
struct MetricValue {
  double value = std::numeric_limits<double>::quiet_NaN();
  std::string why_none;  // empty where value is a finite number
};

enum class Better { lower, higher };

// What the estimate must share with the reference for the number to mean anything.
enum class Alignment {
  none,     // warped or summed over time
  frames,   // the same timing, within a frame
  samples,  // the same waveform; says little about a vocoder, whose phases are its own
};

struct Metric {
  std::string_view name, summary, unit;
  Better better;
  Alignment alignment;
  bool is_default;  // measured when nothing is asked for
  // Waves of one rate; the longer one is cut by the caller (measure()).
  MetricValue (*function)(const MeasuredWave& reference, const MeasuredWave& estimate);
};

[[nodiscard]] MetricValue measure_mel_distance(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_mr_stft(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_mr_stft_music(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_lsd(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_mcd(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_f0_rmse(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_voicing_error(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_gross_pitch_error(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_loudness_difference(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_stoi(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_estoi(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_si_sdr(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_sd_sdr(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_bss_sdr(const MeasuredWave& reference, const MeasuredWave& estimate);
[[nodiscard]] MetricValue measure_snr(const MeasuredWave& reference, const MeasuredWave& estimate);

inline constexpr std::array kMetrics{
    Metric{"mel_distance", "L1 of log-mel spectra: 80 Slaney bands to Nyquist, window 40 ms or more, hop 10 ms", "Np",
           Better::lower, Alignment::frames, true, measure_mel_distance},
    Metric{"mr_stft", "multi-resolution STFT distance, auraloss's defaults: convergence + L1 of log magnitude", "",
           Better::lower, Alignment::frames, true, measure_mr_stft},
    Metric{"mr_stft_music",
           "the same on 128 mel bands of longer windows after A-weighting, auraloss's setting for music", "",
           Better::lower, Alignment::frames, false, measure_mr_stft_music},
    Metric{"mcd", "mel-cepstral distortion at 16 kHz, order 24, without c0, along the exact warping path", "dB",
           Better::lower, Alignment::none, true, measure_mcd},
    Metric{"f0_rmse_cents", "pitch error of the frames voiced in both, root mean square; pyin at 100 frames/s", "cents",
           Better::lower, Alignment::frames, true, measure_f0_rmse},
    Metric{"voicing_error", "frames voiced in one and unvoiced in the other", "%", Better::lower, Alignment::frames,
           true, measure_voicing_error},
    Metric{"gross_pitch_error", "frames voiced in both whose pitch is more than 20 % off", "%", Better::lower,
           Alignment::frames, false, measure_gross_pitch_error},
    Metric{"loudness_difference", "distance of integrated loudness, ITU-R BS.1770", "LU", Better::lower,
           Alignment::none, true, measure_loudness_difference},
    Metric{"lsd", "log-spectral distance, FFT 2048, hop 512", "dB", Better::lower, Alignment::frames, false,
           measure_lsd},
    Metric{"stoi", "short-time objective intelligibility at 10 kHz, 1 = as understandable as the reference", "",
           Better::higher, Alignment::frames, false, measure_stoi},
    Metric{"estoi", "extended short-time objective intelligibility, spectral modulations included", "", Better::higher,
           Alignment::frames, false, measure_estoi},
    Metric{"si_sdr", "scale-invariant signal-to-distortion ratio, means kept", "dB", Better::higher, Alignment::samples,
           true, measure_si_sdr},
    Metric{"sd_sdr", "scale-dependent signal-to-distortion ratio: a wrong level costs too", "dB", Better::higher,
           Alignment::samples, false, measure_sd_sdr},
    Metric{"bss_sdr", "BSS Eval's signal-to-distortion ratio: what no 512-tap filter of the reference explains", "dB",
           Better::higher, Alignment::samples, false, measure_bss_sdr},
    Metric{"snr", "signal-to-noise ratio", "dB", Better::higher, Alignment::samples, false, measure_snr},
};

// The metrics of these names in the table's order, the default ones for no names. Error(usage) with did-you-mean.
[[nodiscard]] std::vector<const Metric*> metrics_named(std::span<const std::string> names);

// Cuts both waves to the shorter one and measures each metric; never throws for what a wave holds. Waves under 60 ms,
// silent references and non-finite estimates give reasons, not numbers.
[[nodiscard]] std::vector<MetricValue> measure(std::span<const Metric* const> metrics, const MeasuredWave& reference,
                                               const MeasuredWave& estimate);

}  // namespace melisma
