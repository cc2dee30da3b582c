#include "data/signal/harvest_candidates.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/signal/event_pitch.h"
#include "data/signal/filter_bank.h"
#include "data/signal/windowed_harmonics.h"

namespace melisma {
namespace harvest_candidates_detail {
namespace {

constexpr double kFrameSeconds = 0.001;
constexpr double kBandsPerOctave = 40;
constexpr std::size_t kFewestBands = 10;  // neighbouring bands that must agree on a candidate
constexpr double kBandTolerance = 0.1;    // of a band's own frequency
constexpr std::int64_t kReach = 3;        // frames each side whose candidates a frame tries too
constexpr double kLowestScore = 2.5;
constexpr double kNeighbourTolerance = 0.05;  // of a candidate in the frame before or after
constexpr double kMarginSeconds = 0.1;        // events looked at each side of a block
constexpr std::int64_t kMinBlockSamples = 4096;
constexpr std::int64_t kRefinedFrames = 256;  // frames refined in one go

using Frequencies = Ragged<double>;  // [frame][candidate], Hz

// A cosine of four periods each side under Nuttall's window, an odd number of samples.
FirFilter band_pass(double centre_hz, double rate_hz) {
  const auto half = static_cast<std::int64_t>(2 * rate_hz / centre_hz + 0.5);
  FirFilter filter{.advance = half + 1};
  for (std::int64_t i = -half; i <= half; ++i) {
    const auto place = std::numbers::pi * static_cast<double>(i + half) / static_cast<double>(half);
    const auto window =
        0.355768 - 0.487396 * std::cos(place) + 0.144232 * std::cos(2 * place) - 0.012604 * std::cos(3 * place);
    filter.taps.push_back(window * std::cos(2 * std::numbers::pi * centre_hz * static_cast<double>(i) / rate_hz));
  }
  return filter;
}

std::vector<double> band_centres(double fmin_hz, double fmax_hz) {
  const auto low = 0.9 * fmin_hz, high = 1.1 * fmax_hz;
  const auto n = 1 + static_cast<std::int64_t>(std::log2(high / low) * kBandsPerOctave);
  std::vector<double> centres;
  for (std::int64_t i = 1; i <= n; ++i) centres.push_back(low * std::exp2(static_cast<double>(i) / kBandsPerOctave));
  return centres;
}

// Bands come one after the other from low to high; where enough neighbours agree, their mean is a candidate.
class AgreementOfBands {
 public:
  explicit AgreementOfBands(std::int64_t n_frames) : runs_(static_cast<std::size_t>(n_frames)) {}

  void add(std::size_t frame, double hz, std::vector<double>& candidates) {
    auto& run = runs_[frame];
    if (hz > 0) {
      ++run.count;
      run.sum += hz;
    } else if (run.count > 0) {
      if (run.count >= kFewestBands) candidates.push_back(run.sum / static_cast<double>(run.count));
      run = {};
    }
  }

 private:
  struct Run {
    std::size_t count = 0;
    double sum = 0;
  };
  std::vector<Run> runs_;
};

class Candidates {
 public:
  Candidates(std::span<const double> signal, double rate_hz, double fmin_hz, double fmax_hz, std::int64_t n_frames)
      : signal_(signal),
        rate_hz_(rate_hz),
        fmin_hz_(fmin_hz),
        fmax_hz_(fmax_hz),
        n_frames_(n_frames),
        centres_(band_centres(fmin_hz, fmax_hz)),
        bank_(make_bank()) {}

  CandidateFrames run() const {
    const auto margin = static_cast<std::int64_t>(kMarginSeconds * rate_hz_);
    const auto per_block =
        static_cast<std::int64_t>(static_cast<double>(bank_.block() - 2 * margin - 2) / rate_hz_ / kFrameSeconds);
    const auto n_blocks = (n_frames_ + per_block - 1) / per_block;
    std::vector<Frequencies> blocks(static_cast<std::size_t>(n_blocks));
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t block = 0; block < n_blocks; ++block) {
      const auto first = block * per_block;
      blocks[static_cast<std::size_t>(block)] = search(first, std::min(per_block, n_frames_ - first), margin);
    }
    return without_loners(refined(Frequencies::joined(blocks)));
  }

 private:
  FilterBank make_bank() const {
    std::vector<FirFilter> filters;
    for (const auto centre : centres_) filters.push_back(band_pass(centre, rate_hz_));
    const auto margins = static_cast<std::int64_t>(2 * kMarginSeconds * rate_hz_);
    return {filters, kMinBlockSamples + margins};
  }

  // Frames [first, first + count): the candidates on which bands agree.
  Frequencies search(std::int64_t first, std::int64_t count, std::int64_t margin) const {
    const auto n = static_cast<std::int64_t>(signal_.size());
    const FrameTimes times{static_cast<double>(first) * kFrameSeconds, kFrameSeconds, count};
    const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(times.first_s * rate_hz_) - margin);
    const auto end = std::min(n, begin + bank_.block());
    EventPitch events;
    AgreementOfBands agreement(count);
    std::vector<std::vector<double>> found(static_cast<std::size_t>(count));
    const auto read = [&](std::int64_t from, std::span<double> samples) {
      const auto low = std::max<std::int64_t>(0, from);
      const auto high = std::min(n, from + static_cast<std::int64_t>(samples.size()));
      if (high > low) std::copy(signal_.begin() + low, signal_.begin() + high, samples.begin() + (low - from));
    };
    bank_.apply(read, begin, [&](std::int64_t band, const double* samples) {
      const auto centre = centres_[static_cast<std::size_t>(band)];
      // A run of bands ends before the last one, and starts behind the first.
      const bool counts = band > 0 && band + 1 < static_cast<std::int64_t>(centres_.size());
      events.find(samples, end - begin, begin, rate_hz_, begin == 0, end == n, times);
      const auto low = std::max(fmin_hz_, centre * (1 - kBandTolerance));
      const auto high = std::min(fmax_hz_, centre * (1 + kBandTolerance));
      for (std::size_t t = 0; t < static_cast<std::size_t>(count); ++t) {
        const auto hz = events.is_empty() || !counts ? 0 : events.mean(t);
        agreement.add(t, hz >= low && hz <= high ? hz : 0, found[t]);
      }
    });
    Frequencies frames;
    for (const auto& frame : found) frames.add(frame);
    return frames;
  }

  // Every frame tries its own candidates and those of the frames around it.
  [[nodiscard]] CandidateFrames refined(const Frequencies& found) const {
    const auto n_parts = (n_frames_ + kRefinedFrames - 1) / kRefinedFrames;
    std::vector<CandidateFrames> parts(static_cast<std::size_t>(n_parts));
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t part = 0; part < n_parts; ++part) {
      WindowedHarmonics harmonics;
      std::vector<F0Candidate> frame;
      const auto end = std::min(n_frames_, (part + 1) * kRefinedFrames);
      for (auto t = part * kRefinedFrames; t < end; ++t) {
        frame.clear();
        for (std::int64_t k = 0; k <= 2 * kReach; ++k) {
          const auto from = k <= kReach ? t - k : t + k - kReach;
          if (from < 0 || from >= n_frames_) continue;
          for (const auto hz : found[static_cast<std::size_t>(from)]) refine(hz, t, harmonics, frame);
        }
        parts[static_cast<std::size_t>(part)].add(frame);
      }
    }
    return CandidateFrames::joined(parts);
  }

  void refine(double hz, std::int64_t t, WindowedHarmonics& harmonics, std::vector<F0Candidate>& frame) const {
    harmonics.cut(signal_, rate_hz_, static_cast<double>(t) * kFrameSeconds, hz);
    const auto found = harmonics.estimate(hz, std::min(6, static_cast<int>(rate_hz_ / 2 / hz)));
    const auto score = 1 / (found.deviation + 1e-12);
    if (found.f0_hz >= fmin_hz_ && found.f0_hz <= fmax_hz_ && score >= kLowestScore) {
      frame.push_back({found.f0_hz, score});
    }
  }

  // Candidates that continue in the frame before or after; the first and the last frame keep all of theirs.
  static CandidateFrames without_loners(const CandidateFrames& frames) {
    CandidateFrames kept;
    std::vector<F0Candidate> frame;
    for (std::size_t t = 0; t < frames.size(); ++t) {
      frame.clear();
      for (const auto& candidate : frames[t]) {
        const bool is_inner = t > 0 && t + 1 < frames.size();
        if (!is_inner || nearest_candidate(frames[t + 1], candidate.hz, 1).distance <= kNeighbourTolerance ||
            nearest_candidate(frames[t - 1], candidate.hz, 1).distance <= kNeighbourTolerance) {
          frame.push_back(candidate);
        }
      }
      kept.add(frame);
    }
    return kept;
  }

  std::span<const double> signal_;
  double rate_hz_, fmin_hz_, fmax_hz_;
  std::int64_t n_frames_;
  std::vector<double> centres_;
  FilterBank bank_;
};

}  // namespace
}  // namespace harvest_candidates_detail

CandidateFrames harvest_candidates(std::span<const double> signal, double rate_hz, double fmin_hz, double fmax_hz,
                                   std::int64_t n_frames) {
  return harvest_candidates_detail::Candidates(signal, rate_hz, fmin_hz, fmax_hz, n_frames).run();
}

NearestCandidate nearest_candidate(std::span<const F0Candidate> candidates, double hz, double allowed) {
  NearestCandidate nearest{0, allowed};
  for (const auto& candidate : candidates) {
    const auto distance = std::abs(hz - candidate.hz) / hz;
    if (distance <= nearest.distance) nearest = {candidate.hz, distance};
  }
  return nearest;
}

}  // namespace melisma
