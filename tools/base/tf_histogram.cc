// How values are counted for TensorBoard's histograms.
#include <algorithm>
#include <cmath>

#include "tools/base/tfevents.h"

namespace melisma {
namespace {

// -1e20 .. -1e-12, 0, 1e-12 .. 1e20, each a tenth larger than the one before.
const std::vector<double>& tf_bucket_edges() {
  static const std::vector<double> edges = [] {
    std::vector<double> positive;
    for (double edge = 1e-12; edge < 1e20; edge *= 1.1) positive.push_back(edge);
    std::vector<double> all;
    for (auto edge = positive.rbegin(); edge != positive.rend(); ++edge) all.push_back(-*edge);
    all.push_back(0);
    all.insert(all.end(), positive.begin(), positive.end());
    return all;
  }();
  return edges;
}

}  // namespace

TfHistogram tf_histogram_of(std::span<const float> values) {
  const auto& edges = tf_bucket_edges();
  std::vector<double> counts(edges.size() - 1, 0.0);
  TfHistogram histogram;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    const double number = value;
    histogram.min = histogram.num == 0 ? number : std::min(histogram.min, number);
    histogram.max = histogram.num == 0 ? number : std::max(histogram.max, number);
    histogram.num += 1;
    histogram.sum += number;
    histogram.sum_squares += number * number;
    const auto above = std::upper_bound(edges.begin(), edges.end(), number) - edges.begin();
    counts[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(above - 1, 0, std::ssize(counts) - 1))] += 1;
  }
  const auto is_filled = [](double count) { return count > 0; };
  const auto first = std::find_if(counts.begin(), counts.end(), is_filled) - counts.begin();
  if (first == std::ssize(counts)) return histogram;                                          // no values
  const auto last = counts.rend() - std::find_if(counts.rbegin(), counts.rend(), is_filled);  // one past
  // Only right edges are stored: an empty bucket on the left keeps the left edge of the first full one.
  histogram.bucket.push_back(0);
  histogram.bucket.insert(histogram.bucket.end(), counts.begin() + first, counts.begin() + last);
  histogram.bucket_limit.assign(edges.begin() + first, edges.begin() + last + 1);
  return histogram;
}

}  // namespace melisma
