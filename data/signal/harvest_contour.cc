#include "data/signal/harvest_contour.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/audio/iir.h"

namespace melisma {
namespace harvest_contour_detail {
namespace {

constexpr double kStepTolerance = 0.008;     // jump from one frame to the next that ends a section
constexpr std::int64_t kShortest = 6;        // frames of a section that is kept
constexpr std::int64_t kFarthest = 100;      // frames a section is continued each side
constexpr std::int64_t kMostMissing = 4;     // frames without a candidate that end the continuation
constexpr double kContinueTolerance = 0.18;  // jump on the way
constexpr double kFewestPeriods = 2.2;       // a continued section lasts longer than this many periods of its mean
constexpr std::int64_t kBridged = 9;         // gaps shorter than this are filled
constexpr double kSmoothHz = 30;             // corner of the smoothing low-pass
constexpr std::size_t kSettleFrames = 300;   // after which that filter has forgotten where it started

// A stretch of frames and its values; those of a continued one may hold short gaps (0).
struct Stretch {
  std::int64_t first = 0;
  std::vector<double> hz;
  [[nodiscard]] std::int64_t last() const { return first + static_cast<std::int64_t>(hz.size()) - 1; }
  [[nodiscard]] double at(std::int64_t frame) const { return hz[static_cast<std::size_t>(frame - first)]; }
};

std::span<const F0Candidate> at(const CandidateFrames& candidates, std::int64_t frame) {
  return candidates[static_cast<std::size_t>(frame)];
}
std::int64_t n_frames(const CandidateFrames& candidates) { return static_cast<std::int64_t>(candidates.size()); }

std::vector<double>::iterator place(std::vector<double>& contour, std::int64_t frame) {
  return contour.begin() + frame;
}

// Runs of voiced frames. With `is_open` runs may touch the ends; else the first and the last frame do not count.
std::vector<Stretch> sections_of(const std::vector<double>& contour, bool is_open) {
  std::vector<Stretch> sections;
  const auto n = static_cast<std::int64_t>(contour.size()), edge = std::int64_t{is_open ? 0 : 1};
  for (auto t = edge; t < n - edge; ++t) {
    const auto hz = contour[static_cast<std::size_t>(t)];
    if (!(hz > 0)) continue;
    if (sections.empty() || sections.back().last() != t - 1) sections.push_back({t, {}});
    sections.back().hz.push_back(hz);
  }
  return sections;
}

std::vector<double> surest(const CandidateFrames& candidates) {
  std::vector<double> contour;
  for (std::int64_t t = 0; t < n_frames(candidates); ++t) {
    F0Candidate best;
    for (const auto& candidate : at(candidates, t)) {
      if (candidate.score > best.score) best = candidate;
    }
    contour.push_back(best.hz);
  }
  return contour;
}

// Frames that follow neither the line through the two frames before nor the frame before are dropped.
std::vector<double> without_jumps(const std::vector<double>& contour) {
  std::vector<double> kept(contour.size());
  for (std::size_t t = 2; t < contour.size(); ++t) {
    const auto expected = 2 * contour[t - 1] - contour[t - 2];
    const bool leaves_line = std::abs((contour[t] - expected) / expected) > kStepTolerance;
    const bool leaves_last = std::abs(contour[t] - contour[t - 1]) / contour[t - 1] > kStepTolerance;
    if (!(leaves_line && leaves_last)) kept[t] = contour[t];
  }
  return kept;
}

void drop_fragments(std::vector<double>& contour) {
  for (const auto& section : sections_of(contour, false)) {
    if (section.last() - section.first < kShortest) {
      std::fill_n(place(contour, section.first), section.hz.size(), 0.0);
    }
  }
}

// Continues a section frame by frame in one direction along the candidates nearest to where it was.
std::vector<double> continuation(const CandidateFrames& candidates, std::int64_t origin, std::int64_t limit,
                                 std::int64_t step, double hz) {
  std::vector<double> found;
  std::size_t kept = 0;
  for (auto t = origin; (limit - t) * step >= 0; t += step) {
    const auto next = nearest_candidate(at(candidates, t + step), hz, kContinueTolerance).hz;
    found.push_back(next);
    if (next > 0) {
      hz = next;
      kept = found.size();
    } else if (static_cast<std::int64_t>(found.size() - kept) == kMostMissing) {
      break;
    }
  }
  found.resize(kept);
  return found;
}

Stretch continued(const Stretch& section, const CandidateFrames& candidates) {
  const auto n = n_frames(candidates);
  const auto after =
      continuation(candidates, section.last(), std::min(n - 2, section.last() + kFarthest), 1, section.hz.back());
  const auto before = continuation(candidates, section.first, std::max<std::int64_t>(1, section.first - kFarthest), -1,
                                   section.hz.front());
  Stretch longer{section.first - static_cast<std::int64_t>(before.size()), {before.rbegin(), before.rend()}};
  longer.hz.insert(longer.hz.end(), section.hz.begin(), section.hz.end());
  longer.hz.insert(longer.hz.end(), after.begin(), after.end());
  return longer;
}

// Those that last long enough for their pitch. The mean of a section counts a little towards the next one's, as in the
// definition.
std::vector<Stretch> long_enough(std::vector<Stretch> sections) {
  double mean = 0;
  std::erase_if(sections, [&](const Stretch& section) {
    const auto length = static_cast<double>(section.hz.size() - 1);
    for (auto hz = section.hz.begin(); hz + 1 < section.hz.end(); ++hz) mean += *hz;
    mean /= length;
    return !(1000 * kFewestPeriods / mean < length);
  });
  return sections;
}

// What speaks for a value that was chosen among the candidates of its frame.
double score_of(std::span<const F0Candidate> candidates, double hz) {
  double score = 0;
  for (const auto& candidate : candidates) {
    if (candidate.hz == hz) score = std::max(score, candidate.score);
  }
  return score;
}

// Where sections overlap, the surer one has the overlap.
std::vector<double> merged(std::vector<Stretch> sections, const CandidateFrames& candidates) {
  std::vector<double> contour(static_cast<std::size_t>(n_frames(candidates)));
  std::stable_sort(sections.begin(), sections.end(),
                   [](const Stretch& a, const Stretch& b) { return a.first < b.first; });
  std::int64_t first = 0, last = -1;  // of what was written last
  for (const auto& section : sections) {
    auto from = section.first;
    if (section.first > last) {
      first = section.first;
    } else if (first <= section.first && last >= section.last()) {
      continue;
    } else {
      double old_score = 0, new_score = 0;
      for (auto t = section.first; t <= last; ++t) {
        old_score += score_of(at(candidates, t), contour[static_cast<std::size_t>(t)]);
        new_score += score_of(at(candidates, t), section.at(t));
      }
      if (old_score > new_score) from = last;
    }
    last = section.last();
    std::copy(section.hz.begin() + (from - section.first), section.hz.end(), place(contour, from));
  }
  return contour;
}

void bridge_gaps(std::vector<double>& contour) {
  const auto sections = sections_of(contour, false);
  for (std::size_t i = 0; i + 1 < sections.size(); ++i) {
    const auto gap = sections[i + 1].first - sections[i].last() - 1;
    if (gap >= kBridged) continue;
    const auto from = sections[i].hz.back() + 1, to = sections[i + 1].hz.front() - 1;
    const auto slope = (to - from) / static_cast<double>(gap + 1);
    for (std::int64_t k = 1; k <= gap; ++k) {
      *place(contour, sections[i].last() + k) = from + slope * static_cast<double>(k);
    }
  }
}

}  // namespace
}  // namespace harvest_contour_detail

std::vector<double> harvest_contour(const CandidateFrames& candidates) {
  using namespace harvest_contour_detail;
  auto contour = without_jumps(surest(candidates));
  drop_fragments(contour);
  std::vector<Stretch> sections;
  for (const auto& section : sections_of(contour, false)) sections.push_back(continued(section, candidates));
  sections = long_enough(std::move(sections));
  if (!sections.empty()) contour = merged(std::move(sections), candidates);
  bridge_gaps(contour);
  const auto filter = butterworth_sections(2, FilterKind::low, std::array{kSmoothHz}, 1000);
  std::vector<double> smoothed(contour.size());
  for (const auto& section : sections_of(contour, true)) {
    const auto values = filter_both_ways_held(filter, section.hz, kSettleFrames);
    std::copy(values.begin(), values.end(), place(smoothed, section.first));
  }
  return smoothed;
}

}  // namespace melisma
