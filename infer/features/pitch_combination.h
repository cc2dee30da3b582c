// Several pitch curves made into one: voicing by vote, pitch from the curves that are voiced.
#pragma once
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "infer/features/pitch_recipe.h"

namespace melisma {

// The pitch of one frame from what the voiced members say: logarithms of Hz, ascending, and the weight of each.
struct PitchVote {
  double log_hz, weight;
};
[[nodiscard]] double median_of_votes(std::span<const PitchVote> votes);
[[nodiscard]] double mean_of_votes(std::span<const PitchVote> votes);
[[nodiscard]] double least_of_votes(std::span<const PitchVote> votes);
[[nodiscard]] double most_of_votes(std::span<const PitchVote> votes);

struct PitchCombination {
  std::string_view name, summary;
  double (*pitch)(std::span<const PitchVote> votes);
};
inline constexpr std::array<PitchCombination, 5> kPitchCombinations{{
    {"median", "the middle pitch; of two middle ones the geometric mean", &median_of_votes},
    {"mean", "the geometric mean", &mean_of_votes},
    {"min", "the lowest: where members jump up an octave", &least_of_votes},
    {"max", "the highest: where members fall down an octave", &most_of_votes},
    {"weighted", "the geometric mean, each member with its weight, which is also its vote", &mean_of_votes},
}};

// Curves of equal length in Hz, 0 = unvoiced, and a weight each -> their combination. A frame is voiced if members with
// at least half of all weight say so (a tie counts as voiced: a gap in a voice is heard more than a hum in a breath);
// its pitch is that of the members that are voiced there.
[[nodiscard]] std::vector<float> combine_pitch(std::string_view combination, std::span<const std::vector<float>> curves,
                                               std::span<const double> weights);

}  // namespace melisma
