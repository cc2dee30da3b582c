#include "models/pitch/salience.h"

#include <algorithm>
#include <cmath>

namespace melisma {
namespace salience_detail {
namespace {

constexpr double kLowestCents = 1997.3794084376191, kCentsPerBin = 20;
constexpr std::int64_t kReach = 4;  // bins to each side of the strongest that are averaged

// Nine floats added up as the RVC tools' array library does: in float, eight in pairs of pairs, then the last.
float sum_of_nine(const float (&v)[2 * kReach + 1]) {
  return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7])) + v[8];
}

}  // namespace
}  // namespace salience_detail

double hz_of_cents(double cents) { return 10 * std::exp2(cents / 1200); }
double cents_of_hz(double hz) { return 1200 * std::log2(hz / 10); }
double cents_of_bin(std::int64_t bin) {
  return salience_detail::kCentsPerBin * static_cast<double>(bin) + salience_detail::kLowestCents;
}

std::vector<double> decode_rmvpe(std::span<const float> salience, double threshold) {
  using namespace salience_detail;
  std::vector<double> f0;
  for (std::size_t row = 0; row + kPitchBins <= salience.size(); row += kPitchBins) {
    const auto frame = salience.subspan(row, kPitchBins);
    const auto strongest = std::max_element(frame.begin(), frame.end());
    if (!(*strongest > static_cast<float>(threshold))) {
      f0.push_back(0);
      continue;
    }
    const auto centre = strongest - frame.begin();
    float weights[2 * kReach + 1] = {};
    double product = 0;
    for (auto bin = std::max<std::int64_t>(0, centre - kReach); bin <= std::min(kPitchBins - 1, centre + kReach);
         ++bin) {
      weights[bin - centre + kReach] = frame[bin];
      product += static_cast<double>(frame[bin]) * cents_of_bin(bin);
    }
    f0.push_back(hz_of_cents(product / static_cast<double>(sum_of_nine(weights))));
  }
  return f0;
}

std::vector<double> decode_fcpe(std::span<const float> probabilities, std::span<const float> bin_cents,
                                FcpeDecoder decoder, double threshold) {
  using namespace salience_detail;
  const auto n_bins = std::ssize(bin_cents);
  std::vector<double> f0;
  for (std::size_t row = 0; row + bin_cents.size() <= probabilities.size(); row += bin_cents.size()) {
    const auto frame = probabilities.subspan(row, bin_cents.size());
    const auto strongest = std::max_element(frame.begin(), frame.end());
    if (!(*strongest > static_cast<float>(threshold))) {
      f0.push_back(0);
      continue;
    }
    const bool is_local = decoder == FcpeDecoder::local_argmax;
    const auto centre = strongest - frame.begin();
    const auto first = is_local ? centre - kReach : 0, last = is_local ? centre + kReach : n_bins - 1;
    double product = 0, sum = 0;
    for (auto i = first; i <= last; ++i) {
      const auto bin = std::clamp<std::int64_t>(i, 0, n_bins - 1);
      product += static_cast<double>(frame[bin]) * static_cast<double>(bin_cents[bin]);
      sum += frame[bin];
    }
    f0.push_back(hz_of_cents(product / sum));
  }
  return f0;
}

}  // namespace melisma
