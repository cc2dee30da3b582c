#include "infer/features/pitch_combination.h"

#include <algorithm>
#include <cmath>

#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {

static_assert(std::equal(kPitchCombinations.begin(), kPitchCombinations.end(), kPitchCombinationNames.begin(),
                         kPitchCombinationNames.end(),
                         [](const PitchCombination& row, std::string_view name) { return row.name == name; }));

double median_of_votes(std::span<const PitchVote> votes) {
  const auto n = votes.size();
  return (votes[(n - 1) / 2].log_hz + votes[n / 2].log_hz) / 2;
}

double mean_of_votes(std::span<const PitchVote> votes) {
  double sum = 0, weights = 0;
  for (const auto& [log_hz, weight] : votes) sum += weight * log_hz, weights += weight;
  return sum / weights;
}

double least_of_votes(std::span<const PitchVote> votes) { return votes.front().log_hz; }
double most_of_votes(std::span<const PitchVote> votes) { return votes.back().log_hz; }

std::vector<float> combine_pitch(std::string_view combination, std::span<const std::vector<float>> curves,
                                 std::span<const double> weights) {
  const auto& row = find_row(kPitchCombinations, combination, "combination of pitch methods");
  double all = 0;
  for (const auto weight : weights) all += weight;
  std::vector<float> combined(curves.front().size());
  std::vector<PitchVote> votes;
  for (std::size_t t = 0; t < combined.size(); ++t) {
    votes.clear();
    double voiced = 0;
    for (std::size_t i = 0; i < curves.size(); ++i) {
      if (!(curves[i][t] > 0)) continue;
      votes.push_back({std::log(static_cast<double>(curves[i][t])), weights[i]});
      voiced += weights[i];
    }
    if (votes.empty() || 2 * voiced < all) continue;
    std::sort(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.log_hz < b.log_hz; });
    combined[t] = static_cast<float>(std::exp(row.pitch(votes)));
  }
  return combined;
}

}  // namespace melisma
