#include "eval/metrics/ratios.h"

#include <cmath>
#include <limits>

#include "eval/statistics/quantile.h"
#include "tools/base/error.h"

namespace melisma {
namespace metric_ratios {
namespace {

void check_sizes(std::span<const double> reference, std::span<const double> estimate) {
  if (reference.size() != estimate.size()) {
    fail(ErrorKind::internal, "signal ratio: {} reference samples against {}; expected equally many", reference.size(),
         estimate.size());
  }
}

struct Energies {
  double signal = 0, error = 0;
};

Energies energies(std::span<const double> reference, std::span<const double> estimate) {
  Energies sums;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double error = reference[i] - estimate[i];
    sums.signal += reference[i] * reference[i];
    sums.error += error * error;
  }
  return sums;
}

// The reference scaled to fit the estimate best.
struct Fit {
  double signal = 0;  // energy of the scaled reference
  double rest = 0;    // of what the estimate has beside it
  double error = 0;   // of estimate - reference
};

Fit best_fit(std::span<const double> reference, std::span<const double> estimate, bool zero_mean) {
  check_sizes(reference, estimate);
  const double centre_s = zero_mean ? mean(reference) : 0, centre_e = zero_mean ? mean(estimate) : 0;
  double dot = 0, energy = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    dot += (reference[i] - centre_s) * (estimate[i] - centre_e);
    energy += (reference[i] - centre_s) * (reference[i] - centre_s);
  }
  const double scale = dot / energy;
  Fit fit;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double s = reference[i] - centre_s, e = estimate[i] - centre_e;
    fit.signal += scale * s * scale * s;
    fit.rest += (scale * s - e) * (scale * s - e);
    fit.error += (e - s) * (e - s);
  }
  return fit;
}

}  // namespace
}  // namespace metric_ratios

double sdr_db(std::span<const double> reference, std::span<const double> estimate, double eps) {
  metric_ratios::check_sizes(reference, estimate);
  const auto [signal, error] = metric_ratios::energies(reference, estimate);
  return 10 * std::log10((signal + eps) / (error + eps));
}

double si_sdr_db(std::span<const double> reference, std::span<const double> estimate, bool zero_mean) {
  const auto fit = metric_ratios::best_fit(reference, estimate, zero_mean);
  return 10 * std::log10(fit.signal / fit.rest);
}

double sd_sdr_db(std::span<const double> reference, std::span<const double> estimate, bool zero_mean) {
  const auto fit = metric_ratios::best_fit(reference, estimate, zero_mean);
  return 10 * std::log10(fit.signal / fit.error);
}

std::vector<double> frame_sdr_db(std::span<const double> reference, std::span<const double> estimate,
                                 int64_t n_channels, int64_t frame) {
  metric_ratios::check_sizes(reference, estimate);
  const auto n = static_cast<int64_t>(reference.size()) / n_channels;
  std::vector<double> ratios;
  for (int64_t first = 0; first + frame <= n; first += frame) {
    metric_ratios::Energies sums;
    for (int64_t channel = 0; channel < n_channels; ++channel) {
      const auto offset = static_cast<std::size_t>(channel * n + first), count = static_cast<std::size_t>(frame);
      const auto part = metric_ratios::energies(reference.subspan(offset, count), estimate.subspan(offset, count));
      sums.signal += part.signal;
      sums.error += part.error;
    }
    ratios.push_back(sums.signal == 0 ? std::numeric_limits<double>::quiet_NaN()
                                      : 10 * std::log10(sums.signal / sums.error));
  }
  return ratios;
}

}  // namespace melisma
