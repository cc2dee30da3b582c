#include "eval/statistics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "eval/statistics/distributions.h"
#include "eval/statistics/quantile.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"

namespace melisma {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

BootstrapReplicates summarise(double estimate, std::vector<double> replicates) {
  BootstrapReplicates result;
  result.estimate = estimate;
  result.standard_error = standard_deviation(replicates);
  std::sort(replicates.begin(), replicates.end());
  result.sorted = std::move(replicates);
  return result;
}

void check_counts(size_t n, int64_t replicates) {
  if (n == 0 || replicates < 1) {
    fail(ErrorKind::internal, "bootstrap: {} values and {} resamples; expected at least one of each", n, replicates);
  }
}

// Skewness of the jackknife values: sum d^3 / (6 (sum d^2)^1.5), d = their mean minus each.
double jackknife_acceleration(std::span<const double> values, const Statistic& statistic) {
  std::vector<double> left_out;
  std::vector<double> others;
  for (size_t i = 0; i < values.size(); ++i) {
    others.assign(values.begin(), values.end());
    others.erase(others.begin() + static_cast<ptrdiff_t>(i));
    left_out.push_back(statistic(others));
  }
  double centre = mean(left_out);
  double squares = 0;
  double cubes = 0;
  for (double value : left_out) {
    double d = centre - value;
    squares += d * d;
    cubes += d * d * d;
  }
  return squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0;
}

}  // namespace

BootstrapReplicates bootstrap(std::span<const double> values, const Statistic& statistic, int64_t replicates,
                              const DrawIndex& draw) {
  check_counts(values.size(), replicates);
  auto n = static_cast<int64_t>(values.size());
  std::vector<double> results;
  std::vector<double> resample(values.size());
  for (int64_t r = 0; r < replicates; ++r) {
    for (double& value : resample) {
      value = values[static_cast<size_t>(draw(n))];
    }
    results.push_back(statistic(resample));
  }
  return summarise(statistic(values), std::move(results));
}

BootstrapReplicates cluster_bootstrap(std::span<const std::vector<double>> clusters, const Statistic& statistic,
                                      int64_t replicates, const DrawIndex& draw) {
  check_counts(clusters.size(), replicates);
  auto n = static_cast<int64_t>(clusters.size());
  std::vector<double> members;
  for (const auto& cluster : clusters) {
    members.insert(members.end(), cluster.begin(), cluster.end());
  }
  double estimate = statistic(members);
  std::vector<double> results;
  for (int64_t r = 0; r < replicates; ++r) {
    members.clear();
    for (int64_t i = 0; i < n; ++i) {
      const auto& cluster = clusters[static_cast<size_t>(draw(n))];
      members.insert(members.end(), cluster.begin(), cluster.end());
    }
    results.push_back(statistic(members));
  }
  return summarise(estimate, std::move(results));
}

Interval percentile_interval(const BootstrapReplicates& replicates, double confidence) {
  return {quantile_of_sorted(replicates.sorted, .5 * (1 - confidence)),
          quantile_of_sorted(replicates.sorted, .5 * (1 + confidence))};
}

Interval basic_interval(const BootstrapReplicates& replicates, double confidence) {
  auto turned = percentile_interval(replicates, confidence);
  return {2 * replicates.estimate - turned.high, 2 * replicates.estimate - turned.low};
}

BcaInterval bca_interval(const BootstrapReplicates& replicates, std::span<const double> values,
                         const Statistic& statistic, double confidence) {
  BcaInterval result;
  const auto& sorted = replicates.sorted;
  auto below = std::lower_bound(sorted.begin(), sorted.end(), replicates.estimate) - sorted.begin();
  auto at_most = std::upper_bound(sorted.begin(), sorted.end(), replicates.estimate) - sorted.begin();
  double share = .5 * static_cast<double>(below + at_most) / static_cast<double>(sorted.size());
  // An estimate outside all replicates would send z0 to infinity: half a replicate keeps it finite.
  double half = .5 / static_cast<double>(sorted.size());
  result.z0 = normal_quantile(std::clamp(share, half, 1 - half));
  result.acceleration = jackknife_acceleration(values, statistic);
  auto level = [&](double p) {
    double z = result.z0 + normal_quantile(p);
    return normal_cdf(result.z0 + z / (1 - result.acceleration * z));
  };
  result.levels = {level(.5 * (1 - confidence)), level(.5 * (1 + confidence))};
  result.interval = {quantile_of_sorted(sorted, result.levels.low), quantile_of_sorted(sorted, result.levels.high)};
  return result;
}

MeanInterval mean_interval(std::span<const double> values, uint64_t seed) {
  MeanInterval result{static_cast<int64_t>(values.size()), mean(values), kNan, kNan};
  if (values.size() < 2) {
    return result;
  }
  RandomSource random(seed_of(seed, "bootstrap", {}));
  auto of_mean = [](std::span<const double> resample) { return mean(resample); };
  auto replicates = bootstrap(values, of_mean, 10000,
                              [&](int64_t n) { return static_cast<int64_t>(random.below(static_cast<uint64_t>(n))); });
  auto interval = bca_interval(replicates, values, of_mean, .95).interval;
  result.low = interval.low;
  result.high = interval.high;
  return result;
}

}  // namespace melisma
