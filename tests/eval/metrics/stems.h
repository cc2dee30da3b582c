// The four stereo stems of golden/metrics/separation.json and their estimates.
#pragma once
#include <vector>

#include "tests/support/golden.h"

namespace melisma::testing {

using StereoWave = std::vector<std::vector<double>>;

struct Stems {
  std::vector<StereoWave> references, estimates;
};

inline Stems render_stems(const nlohmann::json& fixture) {
  Stems stems;
  for (const char* name : {"drums", "bass", "other", "vocals"}) {
    stems.references.push_back(render_recipe(fixture["stems"][name]));
    EXPECT_TRUE(recipe_matches_check(stems.references.back(), fixture["check"][name])) << name;
  }
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& p = fixture["estimates"]["parameters"][i];
    const auto delay = p["d"].get<std::size_t>();
    StereoWave estimate;
    for (std::size_t ch = 0; ch < 2; ++ch) {
      const auto& s = stems.references[i][ch];
      const auto& other = stems.references[(i + 1) % 4][ch];
      Lcg noise(static_cast<uint32_t>(301 + 2 * i + ch));
      std::vector<double> wave;
      for (std::size_t n = 0; n < s.size(); ++n) {
        const double delayed = n >= delay ? s[n - delay] : 0;
        wave.push_back(p["a"].get<double>() * s[n] + p["b"].get<double>() * delayed + p["c"].get<double>() * other[n] +
                       p["g"].get<double>() * noise.next());
      }
      estimate.push_back(std::move(wave));
    }
    EXPECT_TRUE(recipe_matches_check(estimate, fixture["estimates"]["check"][i]));
    stems.estimates.push_back(std::move(estimate));
  }
  return stems;
}

}  // namespace melisma::testing
