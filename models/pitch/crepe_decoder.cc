#include "models/pitch/crepe_decoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "models/pitch/salience.h"

namespace melisma {
namespace crepe_decoder_detail {
namespace {

constexpr std::int64_t kMostSteps = 12;  // a path moves fewer bins than this in one frame
constexpr std::int64_t kReach = 4;       // bins to each side of the strongest that are averaged

using Row = std::array<double, kPitchBins>;

// Bins [first, last) that may be chosen, the cents counted in float as the package does.
struct Allowed {
  std::int64_t first, last;
};
Allowed allowed_bins(double fmin_hz, double fmax_hz) {
  const auto position = [](double hz) {
    const auto cents = 1200 * std::log2(static_cast<float>(hz) / 10);
    return static_cast<double>((cents - static_cast<float>(cents_of_bin(0))) / 20);
  };
  const auto clamped = [](double bin) {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(bin), 0, kPitchBins);
  };
  return {clamped(std::floor(position(fmin_hz))), clamped(std::ceil(position(fmax_hz)))};
}

std::int64_t strongest(std::span<const float> frame, Allowed allowed) {
  return std::max_element(frame.begin() + allowed.first, frame.begin() + allowed.last) - frame.begin();
}

// ln of the triangular prior of moving from bin i to bin j; every other move has the probability kImpossible.
const double kImpossible = std::log(static_cast<double>(std::numeric_limits<float>::min()));
double move_weight(std::int64_t i, std::int64_t j) {
  static const auto table = [] {
    std::array<std::array<double, 2 * kMostSteps + 1>, kPitchBins> weights{};
    for (std::int64_t from = 0; from < kPitchBins; ++from) {
      double sum = 0;
      for (std::int64_t to = 0; to < kPitchBins; ++to)
        sum += std::max<std::int64_t>(kMostSteps - std::abs(from - to), 0);
      for (std::int64_t step = -kMostSteps; step <= kMostSteps; ++step) {
        const auto share = static_cast<double>(kMostSteps - std::abs(step)) / sum;
        weights[from][step + kMostSteps] = std::log(share + static_cast<double>(std::numeric_limits<float>::min()));
      }
    }
    return weights;
  }();
  return table[i][j - i + kMostSteps];
}

// ln of the softmax of the allowed probabilities; the others weigh kImpossible.
void log_observations(std::span<const float> frame, Allowed allowed, Row& out) {
  out.fill(std::log(std::numeric_limits<float>::min()));
  float largest = -std::numeric_limits<float>::infinity(), sum = 0;
  for (auto bin = allowed.first; bin < allowed.last; ++bin) largest = std::max(largest, frame[bin]);
  for (auto bin = allowed.first; bin < allowed.last; ++bin) sum += std::exp(frame[bin] - largest);
  for (auto bin = allowed.first; bin < allowed.last; ++bin) {
    out[bin] = std::log(std::exp(frame[bin] - largest) / sum + std::numeric_limits<float>::min());
  }
}

// The best predecessor of bin j: within reach of a move, or from anywhere at the price of an impossible one.
std::int64_t best_predecessor(const Row& value, std::int64_t j, std::int64_t anywhere, double& best) {
  const auto first = std::max<std::int64_t>(0, j - kMostSteps + 1), last = std::min(kPitchBins - 1, j + kMostSteps - 1);
  auto from = anywhere;
  best = value[anywhere] + kImpossible;
  for (auto i = first; i <= last; ++i) {
    const auto candidate = value[i] + move_weight(i, j);
    if (candidate > best || (candidate == best && i < from)) best = candidate, from = i;
  }
  return from;
}

std::vector<std::int64_t> likeliest_path(std::span<const float> probabilities, Allowed allowed) {
  const auto n = std::ssize(probabilities) / kPitchBins;
  std::vector<std::array<std::uint16_t, kPitchBins>> came_from(static_cast<std::size_t>(n));
  Row value{}, next{}, observed{};
  value.fill(std::log(1.0 / static_cast<double>(kPitchBins) + std::numeric_limits<float>::min()));
  for (std::int64_t t = 0; t < n; ++t) {
    log_observations(probabilities.subspan(t * kPitchBins, kPitchBins), allowed, observed);
    const auto anywhere = std::max_element(value.begin(), value.end()) - value.begin();
    for (std::int64_t j = 0; j < kPitchBins; ++j) {
      auto best = value[j];
      if (t > 0) came_from[t][j] = static_cast<std::uint16_t>(best_predecessor(value, j, anywhere, best));
      next[j] = observed[j] + best;
    }
    std::swap(value, next);
  }
  std::vector<std::int64_t> path(static_cast<std::size_t>(n));
  for (auto t = n - 1; t >= 0; --t) {
    path[t] = t == n - 1 ? std::max_element(value.begin(), value.end()) - value.begin() : came_from[t + 1][path[t + 1]];
  }
  return path;
}

// Cents averaged over the allowed bins around the strongest, weighted by the logistic function of their probability
// (the package takes them for logits).
double weighted_cents(std::span<const float> frame, std::int64_t centre, Allowed allowed) {
  double product = 0, sum = 0;
  for (auto bin = std::max(allowed.first, centre - kReach); bin < std::min(allowed.last, centre + kReach + 1); ++bin) {
    const auto weight = 1 / (1 + std::exp(-static_cast<double>(frame[bin])));
    product += weight * cents_of_bin(bin);
    sum += weight;
  }
  return product / sum;
}

// result[t] = of(the numbers among values [t - width/2, t + width/2]); no number if there are none.
std::vector<float> filtered(std::span<const float> values, std::int64_t width, const auto& of) {
  const auto n = std::ssize(values);
  std::vector<float> result(values.size(), std::numeric_limits<float>::quiet_NaN()), window;
  for (std::int64_t t = 0; t < n; ++t) {
    window.clear();
    for (auto i = std::max<std::int64_t>(0, t - width / 2); i <= std::min(n - 1, t + width / 2); ++i) {
      if (!std::isnan(values[i])) window.push_back(values[i]);
    }
    if (!window.empty()) result[t] = of(window);
  }
  return result;
}

}  // namespace
}  // namespace crepe_decoder_detail

CrepeTrack decode_crepe(std::span<const float> probabilities, CrepeDecoder decoder, double fmin_hz, double fmax_hz) {
  using namespace crepe_decoder_detail;
  const auto allowed = allowed_bins(fmin_hz, fmax_hz);
  const auto n = std::ssize(probabilities) / kPitchBins;
  CrepeTrack track{std::vector<float>(n), std::vector<float>(n)};
  if (allowed.first >= allowed.last) return track;
  const auto path =
      decoder == CrepeDecoder::viterbi ? likeliest_path(probabilities, allowed) : std::vector<std::int64_t>();
  for (std::int64_t t = 0; t < n; ++t) {
    const auto frame = probabilities.subspan(t * kPitchBins, kPitchBins);
    const auto bin = path.empty() ? strongest(frame, allowed) : path[t];
    const auto cents =
        decoder == CrepeDecoder::weighted_argmax ? weighted_cents(frame, bin, allowed) : cents_of_bin(bin);
    track.hz[t] = static_cast<float>(hz_of_cents(cents));
    track.periodicity[t] = bin >= allowed.first && bin < allowed.last ? frame[bin] : 0;
  }
  return track;
}

std::vector<float> median_filter(std::span<const float> values, std::int64_t width) {
  return crepe_decoder_detail::filtered(values, width, [](std::vector<float>& window) {
    const auto middle = window.begin() + static_cast<std::ptrdiff_t>((window.size() - 1) / 2);
    std::nth_element(window.begin(), middle, window.end());
    return *middle;
  });
}

std::vector<float> mean_filter(std::span<const float> values, std::int64_t width) {
  return crepe_decoder_detail::filtered(values, width, [](const std::vector<float>& window) {
    float sum = 0;
    for (const auto value : window) sum += value;
    return sum == 0 ? std::numeric_limits<float>::quiet_NaN() : sum / static_cast<float>(window.size());
  });
}

}  // namespace melisma
