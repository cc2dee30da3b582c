#include "data/signal/praat_pitch.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "data/signal/ragged.h"
#include "data/signal/sinc_peak.h"
#include "data/signal/thread_limit.h"
#include "tools/base/error.h"

namespace melisma {
namespace praat_detail {
namespace {

constexpr std::int64_t kChunkFrames = 32;
constexpr std::int64_t kFirstDepth = 30, kDepth = 70;  // samples each side of the first and of the final interpolation
constexpr double kPeriods = 3;                         // of the lowest pitch in a window

struct Peak {
  double hz = 0, strength = 0;  // 0 Hz: the unvoiced candidate
};

// What some frames offer: the unvoiced candidate first, then peaks of the autocorrelation.
struct Frames {
  Ragged<Peak> peaks;             // [frame][candidate]
  std::vector<double> intensity;  // [frame]: its peak against the recording's, at most 1
};

double finite(float x) { return std::isfinite(x) ? static_cast<double>(x) : 0.0; }

// The smallest of 2^k and 3 * 2^k that is not below n.
std::int64_t fast_size(std::int64_t n) {
  const auto power = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(n, 4))));
  return power / 4 * 3 >= n ? power / 4 * 3 : power;
}

class Analysis {
 public:
  Analysis(std::span<const float> wave, const PraatPitchConfig& config)
      : wave_(wave),
        config_(config),
        rate_(static_cast<double>(config.sample_rate_hz)),
        period_(static_cast<std::int64_t>(rate_ / config.fmin_hz)),
        half_(static_cast<std::int64_t>(kPeriods / config.fmin_hz * rate_) / 2 - 1),
        n_lags_(half_),  // half the window
        n_fft_(fast_size(3 * half_)),
        most_(std::max(config.most_candidates, static_cast<std::int64_t>(config.fmax_hz / config.fmin_hz))) {
    place_frames();
    if (times_.f0_hz.empty()) return;
    make_window();
    double sum = 0;
    for (const float x : wave) sum += finite(x);
    const auto mean = sum / static_cast<double>(wave.size());
    for (const float x : wave) loudest_ = std::max(loudest_, std::abs(finite(x) - mean));
  }

  [[nodiscard]] PraatPitch empty_result() const { return times_; }

  [[nodiscard]] Frames frames() const {
    const auto n = static_cast<std::int64_t>(times_.f0_hz.size());
    const auto n_chunks = (n + kChunkFrames - 1) / kChunkFrames;
    std::vector<Ragged<Peak>> peaks(static_cast<std::size_t>(n_chunks));
    Frames frames;
    frames.intensity.resize(static_cast<std::size_t>(n));
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
      const auto first = chunk * kChunkFrames, count = std::min(kChunkFrames, n - first);
      peaks[static_cast<std::size_t>(chunk)] = analyse(first, count, frames.intensity.data() + first);
    }
    frames.peaks = Ragged<Peak>::joined(peaks);
    return frames;
  }

 private:
  // A window that fits to the sample counts as fitting, whatever rounding says about its length in seconds.
  void place_frames() {
    constexpr double kRounding = 1e-9;
    const auto step = times_.step_s = config_.time_step_s;
    const auto seconds = static_cast<double>(wave_.size()) / rate_, window = kPeriods / config_.fmin_hz;
    if (half_ < 2 || window > seconds + kRounding) return;
    if (config_.on_steps) {
      const auto first = std::ceil(window / 2 / step - kRounding);
      const auto last = std::floor((seconds - window / 2) / step + kRounding);
      times_.f0_hz.resize(static_cast<std::size_t>(std::max(0.0, last - first + 1)));
      times_.first_s = first * step;
    } else {
      times_.f0_hz.resize(static_cast<std::size_t>((seconds - window) / step + kRounding) + 1);
      times_.first_s = seconds / 2 - 0.5 * static_cast<double>(times_.f0_hz.size() - 1) * step;
    }
  }

  // The Hann window without its zeros, and its own autocorrelation, by which that of a frame is divided.
  void make_window() {
    const auto n = 2 * half_;
    for (std::int64_t i = 1; i <= n; ++i) {
      window_.push_back(0.5 -
                        0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n + 1)));
    }
    auto padded = at::zeros({1, n_fft_}, at::kDouble);
    std::copy(window_.begin(), window_.end(), padded.data_ptr<double>());
    const auto acf = autocorrelation(padded);
    const auto* values = acf.data_ptr<double>();
    for (std::int64_t lag = 0; lag <= n_lags_; ++lag) window_acf_.push_back(values[lag] / values[0]);
  }

  // [frames, n_fft], zero where a lag would bring the end around to the beginning -> [frames, n_fft]
  [[nodiscard]] at::Tensor autocorrelation(const at::Tensor& frames) const {
    const auto spectrum = at::fft_rfft(frames);  // [frames, bins]
    auto* bins = spectrum.data_ptr<c10::complex<double>>();
    for (std::int64_t i = 0; i < spectrum.numel(); ++i) bins[i] = std::norm(bins[i]);
    return at::fft_irfft(spectrum, n_fft_);
  }

  // Frames [first, first + count): their peaks, and their intensities [count].
  Ragged<Peak> analyse(std::int64_t first, std::int64_t count, double* intensity) const {
    const c10::NoGradGuard no_grad;
    const auto cuts = at::zeros({count, n_fft_}, at::kDouble);
    for (std::int64_t t = 0; t < count; ++t) {
      const auto local_peak = cut(first + t, cuts.data_ptr<double>() + t * n_fft_);
      intensity[t] = loudest_ > 0 ? std::min(1.0, local_peak / loudest_) : 0;
    }
    const auto acf = autocorrelation(cuts);
    std::vector<double> both(static_cast<std::size_t>(2 * n_lags_ + 1));  // lags -n_lags ... n_lags
    Ragged<Peak> frames;
    std::vector<Peak> peaks;
    for (std::int64_t t = 0; t < count; ++t) {
      const auto* values = acf.data_ptr<double>() + t * n_fft_;
      auto* r = both.data() + n_lags_;
      r[0] = 1;
      for (std::int64_t lag = 1; lag <= n_lags_; ++lag) {
        r[lag] = r[-lag] = values[lag] / (values[0] * window_acf_[static_cast<std::size_t>(lag)]);
      }
      peaks.assign(1, {});
      if (intensity[t] > 0) find_peaks(both, peaks);
      frames.add(peaks);
    }
    return frames;
  }

  // The window around frame t without its mean over two longest periods; returns its peak within one.
  double cut(std::int64_t t, double* out) const {
    const auto time = times_.first_s + static_cast<double>(t) * times_.step_s;
    const auto right = static_cast<std::int64_t>(std::floor(time * rate_ - 0.5)) + 1;  // first sample behind the middle
    const auto sample = [&](std::int64_t k) {
      const auto n = static_cast<std::int64_t>(wave_.size());
      return k < 0 || k >= n ? 0.0 : finite(wave_[static_cast<std::size_t>(k)]);
    };
    double mean = 0;
    for (auto k = right - period_; k < right + period_; ++k) mean += sample(k);
    mean /= static_cast<double>(2 * period_);
    double peak = 0;
    const auto reach = period_ / 2 + 1;
    for (std::int64_t i = 0; i < 2 * half_; ++i) {
      out[i] = (sample(right - half_ + i) - mean) * window_[static_cast<std::size_t>(i)];
      if (i >= half_ - reach && i < half_ + reach) peak = std::max(peak, std::abs(out[i]));
    }
    return peak;
  }

  // Adds the strongest maxima of the autocorrelation [2 n_lags + 1], a little in favour of high pitch.
  void find_peaks(std::span<const double> both, std::vector<Peak>& peaks) const {
    const auto* r = both.data() + n_lags_;
    const auto longest = std::min(2 * half_, static_cast<std::int64_t>(2 * static_cast<double>(half_) / kPeriods) + 2);
    const auto favour = [&](const Peak& peak) {
      return peak.strength - config_.octave_cost * std::log2(config_.fmin_hz / peak.hz);
    };
    std::vector<std::int64_t> lags{0};  // of the peaks
    for (std::int64_t lag = 2; lag < std::min(longest, n_lags_); ++lag) {
      if (!(r[lag] > 0.5 * config_.voicing_threshold && r[lag] > r[lag - 1] && r[lag] >= r[lag + 1])) continue;
      const auto offset = 0.5 * (r[lag + 1] - r[lag - 1]) / (2 * r[lag] - r[lag - 1] - r[lag + 1]);
      const auto place = static_cast<double>(lag) + offset;
      const auto strength = sinc_interpolated(both, place + static_cast<double>(n_lags_), kFirstDepth);
      const Peak peak{rate_ / place, reflected(strength)};
      if (static_cast<std::int64_t>(peaks.size()) < most_) {
        peaks.push_back(peak), lags.push_back(lag);
        continue;
      }
      const auto weakest = std::min_element(peaks.begin() + 1, peaks.end(),
                                            [&](const Peak& a, const Peak& b) { return favour(a) < favour(b); });
      if (favour(peak) <= favour(*weakest)) continue;
      *weakest = peak;
      lags[static_cast<std::size_t>(weakest - peaks.begin())] = lag;
    }
    for (std::size_t i = 1; i < peaks.size(); ++i) {
      const auto exact = sinc_peak(both, lags[i] + n_lags_, kDepth);
      peaks[i] = {rate_ / (exact.place - static_cast<double>(n_lags_)), reflected(exact.value)};
    }
  }

  // Short windows make strengths above 1; they count as so much below.
  static double reflected(double strength) { return strength > 1 ? 1 / strength : strength; }

  std::span<const float> wave_;
  PraatPitchConfig config_;
  double rate_;
  std::int64_t period_, half_;  // samples of the longest period, and of half a window
  std::int64_t n_lags_, n_fft_;
  std::int64_t most_;  // candidates, the unvoiced one included
  PraatPitch times_;
  double loudest_ = 0;
  std::vector<double> window_, window_acf_;
};

// The cheapest way through the candidates of all frames.
class Path {
 public:
  explicit Path(const PraatPitchConfig& config)
      : config_(config),
        jump_cost_(config.octave_jump_cost * 0.01 / config.time_step_s),
        change_cost_(config.voicing_change_cost * 0.01 / config.time_step_s) {}

  void find(const Frames& frames, std::vector<double>& f0_hz) const {
    Ragged<std::uint16_t> from;  // [frame][candidate]: the one before it
    std::vector<std::uint16_t> places;
    std::vector<double> scores, before, octaves, octaves_before;
    for (std::size_t t = 0; t < f0_hz.size(); ++t) {
      scores_of(frames.peaks[t], frames.intensity[t], scores, octaves);
      places.assign(scores.size(), 0);
      for (std::size_t k = 0; k < scores.size() && t > 0; ++k) {
        auto best = -1e30;
        for (std::size_t j = 0; j < before.size(); ++j) {
          const auto value = before[j] - transition(octaves_before[j], octaves[k]) + scores[k];
          if (value > best) best = value, places[k] = static_cast<std::uint16_t>(j);
        }
        scores[k] = best;
      }
      from.add(places);
      scores.swap(before), octaves.swap(octaves_before);
    }
    auto k = static_cast<std::size_t>(std::max_element(before.begin(), before.end()) - before.begin());
    for (std::size_t t = f0_hz.size(); t-- > 0; k = from[t][k]) {
      const auto& peak = frames.peaks[t][k];
      f0_hz[t] = is_voiced(peak) ? peak.hz : 0;
    }
  }

 private:
  [[nodiscard]] bool is_voiced(const Peak& peak) const { return peak.hz > 0 && peak.hz < config_.fmax_hz; }

  // What speaks for each candidate by itself, and its pitch in octaves; NaN where it counts as unvoiced.
  void scores_of(std::span<const Peak> peaks, double intensity, std::vector<double>& scores,
                 std::vector<double>& octaves) const {
    const auto silence = config_.silence_threshold <= 0
                             ? 0
                             : 2 - intensity * (1 + config_.voicing_threshold) / config_.silence_threshold;
    scores.clear(), octaves.clear();
    for (const auto& peak : peaks) {
      const auto octave = is_voiced(peak) ? std::log2(peak.hz) : std::nan("");
      octaves.push_back(octave);
      scores.push_back(is_voiced(peak) ? peak.strength - config_.octave_cost * (std::log2(config_.fmax_hz) - octave)
                                       : config_.voicing_threshold + std::max(0.0, silence));
    }
  }

  [[nodiscard]] double transition(double from, double to) const {
    if (std::isnan(from) != std::isnan(to)) return change_cost_;
    return std::isnan(from) ? 0 : jump_cost_ * std::abs(from - to);
  }

  const PraatPitchConfig& config_;
  double jump_cost_, change_cost_;
};

}  // namespace
}  // namespace praat_detail

void PraatPitchConfig::check() const {
  const auto rate = static_cast<double>(sample_rate_hz);
  if (!(fmin_hz > 0 && fmin_hz < fmax_hz && fmax_hz <= rate / 2) || !(time_step_s > 0)) {
    fail(ErrorKind::config,
         "praat pitch: the range {} to {} Hz in steps of {} s is not possible; need 0 < lowest < highest <= {} Hz",
         fmin_hz, fmax_hz, time_step_s, rate / 2);
  }
}

PraatPitch praat_pitch(std::span<const float> wave, const PraatPitchConfig& config, int threads) {
  using namespace praat_detail;
  config.check();
  const ThreadLimit limit(threads);
  const Analysis analysis(wave, config);
  auto result = analysis.empty_result();
  if (!result.f0_hz.empty()) Path(config).find(analysis.frames(), result.f0_hz);
  return result;
}

}  // namespace melisma
