// Bootstrap confidence intervals: percentile, basic and BCa, over single values or over clusters of values.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace melisma {

using Statistic = std::function<double(std::span<const double>)>;
// An index in [0, n), uniform; called once for each value drawn.
using DrawIndex = std::function<int64_t(int64_t n)>;

struct Interval {
  double low = 0;
  double high = 0;
};

struct BootstrapReplicates {
  double estimate = 0;         // the statistic of the values themselves
  double standard_error = 0;   // standard deviation of the replicates
  std::vector<double> sorted;  // the statistic of each resample, ascending
};

// Resamples `values` (not empty) with replacement, `replicates` times.
[[nodiscard]] BootstrapReplicates bootstrap(std::span<const double> values, const Statistic& statistic,
                                            int64_t replicates, const DrawIndex& draw);

// Resamples whole clusters (recordings, songs, speakers) with replacement: their members stay together, because values
// of one cluster are not independent. The statistic sees all members of the drawn clusters.
[[nodiscard]] BootstrapReplicates cluster_bootstrap(std::span<const std::vector<double>> clusters,
                                                    const Statistic& statistic, int64_t replicates,
                                                    const DrawIndex& draw);

// Quantiles of the replicates at (1 - confidence) / 2 and (1 + confidence) / 2.
[[nodiscard]] Interval percentile_interval(const BootstrapReplicates& replicates, double confidence);
// The same distances turned round the estimate: 2 * estimate - quantile.
[[nodiscard]] Interval basic_interval(const BootstrapReplicates& replicates, double confidence);

// Bias-corrected and accelerated (Efron 1987): z0 from the share of replicates below the estimate (ties count half),
// the acceleration from the jackknife. Falls back to the percentile levels where all replicates are equal.
struct BcaInterval {
  Interval interval;
  double z0 = 0;
  double acceleration = 0;
  Interval levels;  // the quantiles that were read
};
[[nodiscard]] BcaInterval bca_interval(const BootstrapReplicates& replicates, std::span<const double> values,
                                       const Statistic& statistic, double confidence);

// A mean with its interval, as reports print it.
struct MeanInterval {
  int64_t n = 0;
  double mean = 0;  // NaN for n = 0
  double low = 0;   // low = high = NaN for n < 2: one recording says nothing of others
  double high = 0;
};
// BCa interval of the mean of `values` (one a recording), 95 %, 10000 resamples drawn from `seed`: the same numbers for
// the same input, everywhere.
[[nodiscard]] MeanInterval mean_interval(std::span<const double> values, uint64_t seed = 0);

}  // namespace melisma
