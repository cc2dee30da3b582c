#include "data/signal/dio.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "data/signal/event_pitch.h"
#include "data/signal/filter_bank.h"
#include "data/signal/thread_limit.h"
#include "tools/base/error.h"

namespace melisma {
namespace dio_detail {
namespace {

constexpr double kBandsPerOctave = 2;
constexpr double kLowCutHz = 50;
constexpr double kTolerance = 0.1;  // of the pitch, from frame to frame
constexpr double kUnsure = 100000;  // the spread of a band without a candidate
constexpr double kMarginSeconds = 0.25;
constexpr std::int64_t kMinBlockSamples = 16384;
constexpr double kTiny = 1e-12;

struct BandPitch {
  double hz = 0, spread = kUnsure;  // spread of the four kinds of events, relative
};

// 1 minus a Hann window with sum 1: nothing below about kLowCutHz.
std::vector<double> low_cut(double rate_hz) {
  const auto half = static_cast<std::int64_t>(rate_hz / kLowCutHz + 0.5);
  std::vector<double> taps;
  for (std::int64_t i = 1; i <= 2 * half + 1; ++i) {
    taps.push_back(0.5 - 0.5 * std::cos(std::numbers::pi * static_cast<double>(i) / static_cast<double>(half + 1)));
  }
  const auto sum = std::accumulate(taps.begin(), taps.end(), 0.0);
  for (auto& tap : taps) tap /= -sum;
  taps[static_cast<std::size_t>(half)] += 1;
  return taps;
}

// Nuttall's window over two periods of the band's upper end, and the low cut.
FirFilter band_filter(double upper_hz, double rate_hz, const std::vector<double>& low_cut) {
  const auto half = static_cast<std::int64_t>(rate_hz / upper_hz / 2 + 0.5);
  std::vector<double> window;
  for (std::int64_t i = 0; i < 4 * half; ++i) {
    const auto place = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(4 * half - 1);
    window.push_back(0.355768 - 0.487396 * std::cos(place) + 0.144232 * std::cos(2 * place) -
                     0.012604 * std::cos(3 * place));
  }
  FirFilter filter{.taps = std::vector<double>(window.size() + low_cut.size() - 1),
                   .advance = 2 * half + static_cast<std::int64_t>(low_cut.size() / 2)};
  for (std::size_t i = 0; i < window.size(); ++i) {
    for (std::size_t k = 0; k < low_cut.size(); ++k) filter.taps[i + k] += window[i] * low_cut[k];
  }
  return filter;
}

std::vector<double> band_ends(const DioConfig& config) {
  const auto n = 1 + static_cast<std::int64_t>(std::log2(config.fmax_hz / config.fmin_hz) * kBandsPerOctave);
  std::vector<double> ends;
  for (std::int64_t i = 1; i <= n; ++i) {
    ends.push_back(config.fmin_hz * std::exp2(static_cast<double>(i) / kBandsPerOctave));
  }
  return ends;
}

// The candidates of every frame, one a band: [frame][band].
class Bands {
 public:
  Bands(std::span<const float> wave, const DioConfig& config, std::int64_t n_frames)
      : config_(config),
        rate_hz_(static_cast<double>(config.sample_rate_hz)),
        wave_(wave),
        n_(static_cast<std::int64_t>(wave.size()) + 1),
        n_frames_(n_frames),
        ends_(band_ends(config)),
        bank_(make_bank()),
        found_(static_cast<std::size_t>(n_frames) * ends_.size()) {
    for (const float x : wave) mean_ += finite(x) / static_cast<double>(n_);
    const auto margin = static_cast<std::int64_t>(kMarginSeconds * rate_hz_);
    const auto per_block = std::max<std::int64_t>(
        1, static_cast<std::int64_t>(static_cast<double>(bank_.block() - 2 * margin - 2) / rate_hz_ / frame_seconds()));
    const auto n_blocks = (n_frames + per_block - 1) / per_block;
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t block = 0; block < n_blocks; ++block) {
      const auto first = block * per_block;
      search(first, std::min(per_block, n_frames - first), margin);
    }
  }

  [[nodiscard]] std::span<const BandPitch> at(std::int64_t frame) const {
    return {found_.data() + static_cast<std::size_t>(frame) * ends_.size(), ends_.size()};
  }
  [[nodiscard]] std::int64_t n_frames() const { return n_frames_; }

 private:
  [[nodiscard]] double frame_seconds() const { return config_.frame_period_ms / 1000; }

  // Samples [from, ...) without the mean. In the definition the signal is one zero sample longer than the wave.
  void read(std::int64_t from, std::span<double> samples) const {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const auto k = from + static_cast<std::int64_t>(i);
      if (k >= 0 && k < n_) samples[i] = (k + 1 < n_ ? finite(wave_[static_cast<std::size_t>(k)]) : 0.0) - mean_;
    }
  }
  static double finite(float x) { return std::isfinite(x) ? static_cast<double>(x) : 0.0; }

  [[nodiscard]] FilterBank make_bank() const {
    const auto cut = low_cut(rate_hz_);
    std::vector<FirFilter> filters;
    for (const auto end : ends_) filters.push_back(band_filter(end, rate_hz_, cut));
    const auto margins = static_cast<std::int64_t>(2 * kMarginSeconds * rate_hz_ + frame_seconds() * rate_hz_) + 2;
    return {filters, kMinBlockSamples + margins};
  }

  void search(std::int64_t first, std::int64_t count, std::int64_t margin) {
    const FrameTimes times{static_cast<double>(first) * frame_seconds(), frame_seconds(), count};
    const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(times.first_s * rate_hz_) - margin);
    const auto end = std::min(n_, begin + bank_.block());
    EventPitch events;
    const auto samples_of = [this](std::int64_t from, std::span<double> samples) { read(from, samples); };
    bank_.apply(samples_of, begin, [&](std::int64_t band, const double* samples) {
      events.find(samples, end - begin, begin, rate_hz_, begin == 0, end == n_, times);
      if (events.is_empty()) return;
      const auto upper = ends_[static_cast<std::size_t>(band)];
      for (std::size_t t = 0; t < static_cast<std::size_t>(count); ++t) {
        const auto hz = events.mean(t);
        if (!(hz >= std::max(config_.fmin_hz, upper / 2) && hz <= std::min(config_.fmax_hz, upper))) continue;
        double squares = 0;
        for (std::size_t kind = 0; kind < 4; ++kind) squares += std::pow(events.by(kind)[t] - hz, 2);
        found_[(static_cast<std::size_t>(first) + t) * ends_.size() + static_cast<std::size_t>(band)] = {
            hz, std::sqrt(squares / 3) / (hz + kTiny)};
      }
    });
  }

  DioConfig config_;
  double rate_hz_;
  std::span<const float> wave_;
  std::int64_t n_, n_frames_;  // samples, frames
  double mean_ = 0;
  std::vector<double> ends_;
  FilterBank bank_;
  std::vector<BandPitch> found_;
};

// The candidate nearest to where the contour is heading; 0 if it is too far.
double continued(std::span<const BandPitch> bands, double hz, double before_hz) {
  const auto expected = (3 * hz - before_hz) / 2;
  const auto nearest = std::min_element(bands.begin(), bands.end(), [&](const BandPitch& a, const BandPitch& b) {
    return std::abs(expected - a.hz) < std::abs(expected - b.hz);
  });
  return std::abs(1 - nearest->hz / expected) > kTolerance ? 0 : nearest->hz;
}

// The steadiest band's pitch without jumps and short fragments, then continued both ways.
class Contour {
 public:
  Contour(const Bands& bands, const DioConfig& config)
      : bands_(bands),
        n_(bands.n_frames()),
        shortest_(static_cast<std::int64_t>(0.5 + 1000 / config.frame_period_ms / config.fmin_hz) * 2 + 1),
        hz_(static_cast<std::size_t>(n_)) {}

  std::vector<double> run() {
    if (n_ <= shortest_) return hz_;
    choose();
    drop_fragments();
    const auto sections = sections_of();
    for (std::size_t i = 0; i < sections.size(); ++i) {
      const auto limit = i + 1 < sections.size() ? sections[i + 1].last : n_ - 1;
      for (auto t = sections[i].last; t < limit && (at(t + 1) = continued(bands_.at(t + 1), at(t), at(t - 1))) > 0;)
        ++t;
    }
    for (std::size_t i = sections.size(); i-- > 0;) {
      const auto limit = i == 0 ? 1 : sections[i - 1].first;
      for (auto t = sections[i].first; t > limit && (at(t - 1) = continued(bands_.at(t - 1), at(t), at(t + 1))) > 0;)
        --t;
    }
    return hz_;
  }

 private:
  struct Section {
    std::int64_t first, last;
  };

  double& at(std::int64_t frame) { return hz_[static_cast<std::size_t>(frame)]; }

  void choose() {
    double before = 0;
    for (auto t = shortest_; t < n_; ++t) {
      const auto bands = bands_.at(t);
      const auto steadiest = std::min_element(
          bands.begin(), bands.end(), [](const BandPitch& a, const BandPitch& b) { return a.spread < b.spread; });
      const auto hz = t < n_ - shortest_ ? steadiest->hz : 0;
      if (std::abs((hz - before) / (kTiny + hz)) < kTolerance) at(t) = hz;
      before = hz;
    }
  }

  // A frame stays if all frames around it are voiced.
  void drop_fragments() {
    const auto before = hz_;
    const auto reach = (shortest_ - 1) / 2;
    for (auto t = reach; t < n_ - reach; ++t) {
      const auto around = before.begin() + (t - reach);
      if (std::find(around, around + shortest_, 0.0) != around + shortest_) at(t) = 0;
    }
  }

  std::vector<Section> sections_of() {
    std::vector<Section> sections;
    for (std::int64_t t = 1; t < n_; ++t) {
      if (at(t) > 0 && !(at(t - 1) > 0)) sections.push_back({t, t});
      if (at(t) > 0) sections.back().last = t;
    }
    return sections;
  }

  const Bands& bands_;
  std::int64_t n_, shortest_;  // shortest: frames of two periods of the lowest pitch, and one
  std::vector<double> hz_;
};

}  // namespace
}  // namespace dio_detail

void DioConfig::check() const {
  const auto rate = static_cast<double>(sample_rate_hz);
  if (!(fmin_hz > 0 && fmin_hz < fmax_hz && fmax_hz <= rate / 2) || !(frame_period_ms > 0)) {
    fail(ErrorKind::config,
         "dio: the range {} to {} Hz in frames of {} ms is not possible; need 0 < lowest < highest <= {} Hz", fmin_hz,
         fmax_hz, frame_period_ms, rate / 2);
  }
}

std::vector<double> dio(std::span<const float> wave, const DioConfig& config, int threads) {
  using namespace dio_detail;
  config.check();
  const ThreadLimit limit(threads);
  const auto seconds = static_cast<double>(wave.size()) / static_cast<double>(config.sample_rate_hz);
  const auto n_frames = static_cast<std::int64_t>(1000 * seconds / config.frame_period_ms) + 1;
  const Bands bands(wave, config, n_frames);
  return Contour(bands, config).run();
}

}  // namespace melisma
