// Corrections for testing several hypotheses at once: adjusted p-values to compare with the level wanted.
#pragma once
#include <array>
#include <span>
#include <string_view>
#include <vector>

namespace melisma {

// Adjusted p-values in the order of `p` (each in [0, 1]); reject those at or below the level.
using AdjustPValues = std::vector<double> (*)(std::span<const double> p);

[[nodiscard]] std::vector<double> adjust_bonferroni(std::span<const double> p);
[[nodiscard]] std::vector<double> adjust_holm(std::span<const double> p);
[[nodiscard]] std::vector<double> adjust_sidak(std::span<const double> p);
[[nodiscard]] std::vector<double> adjust_holm_sidak(std::span<const double> p);
[[nodiscard]] std::vector<double> adjust_hochberg(std::span<const double> p);
[[nodiscard]] std::vector<double> adjust_hommel(std::span<const double> p);
[[nodiscard]] std::vector<double> adjust_benjamini_hochberg(std::span<const double> p);
[[nodiscard]] std::vector<double> adjust_benjamini_yekutieli(std::span<const double> p);

struct CorrectionRow {
  std::string_view name;  // as statsmodels.stats.multitest names them
  std::string_view summary;
  AdjustPValues adjust;
};

inline constexpr std::array kCorrections{
    CorrectionRow{"bonferroni", "family-wise error, any dependence, one step", adjust_bonferroni},
    CorrectionRow{"holm", "family-wise error, any dependence, never weaker than bonferroni", adjust_holm},
    CorrectionRow{"sidak", "family-wise error of independent tests, one step", adjust_sidak},
    CorrectionRow{"holm-sidak", "family-wise error of independent tests, step-down", adjust_holm_sidak},
    CorrectionRow{"simes-hochberg", "family-wise error, step-up, positive dependence", adjust_hochberg},
    CorrectionRow{"hommel", "family-wise error, closed Simes tests, positive dependence", adjust_hommel},
    CorrectionRow{"fdr_bh", "false discovery rate, positive dependence (Benjamini-Hochberg)",
                  adjust_benjamini_hochberg},
    CorrectionRow{"fdr_by", "false discovery rate, any dependence (Benjamini-Yekutieli)", adjust_benjamini_yekutieli},
};

}  // namespace melisma
