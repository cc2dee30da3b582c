#include "infer/features/vocal_tract.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "data/signal/thread_limit.h"
#include "infer/features/short_spectra.h"

namespace melisma {
namespace vocal_tract_detail {
namespace {

constexpr std::int64_t kOrder = 12;
constexpr std::int64_t kBins = 161;  // of the spectrum of 512 points: 0 ... 5 kHz
constexpr double kTopHz = 5000;
constexpr std::int64_t kMostFrames = 3000;  // looked at in a long recording
constexpr double kThirdHz = 2550, kFourthHz = 3450;
constexpr double kLowestHz = 150, kWidestHz = 500;  // a pole is a formant above this frequency, below this bandwidth
constexpr double kDoubtFrames = 20;                 // weight of the assumption that the speaker is average

// Power spectra [n, 257] -> the autocorrelation of the signal below 5 kHz, pre-emphasised, [n, kOrder + 1] double.
at::Tensor autocorrelations(const at::Tensor& spectra) {
  const auto angle = at::arange(kBins, at::kDouble) * (std::numbers::pi / (kBins - 1));
  const auto emphasis = 1 + 0.97 * 0.97 - 2 * 0.97 * at::cos(angle);
  auto cosines = at::cos(angle.unsqueeze(1) * at::arange(kOrder + 1, at::kDouble));
  cosines[0].mul_(0.5);
  cosines[kBins - 1].mul_(0.5);
  return at::matmul(spectra.slice(1, 0, kBins).to(at::kDouble) * emphasis, cosines);
}

// Levinson and Durbin: autocorrelation [kOrder + 1] -> first row of the companion matrix of the predictor's polynomial.
void predictor(const double* r, double* row) {
  std::array<double, kOrder + 1> a{1}, before{};
  auto error = r[0] * (1 + 1e-6);
  for (std::size_t i = 1; i <= kOrder; ++i) {
    auto sum = r[i];
    for (std::size_t j = 1; j < i; ++j) sum += a[j] * r[i - j];
    const auto reflection = -sum / error;
    before = a;
    for (std::size_t j = 1; j <= i; ++j) a[j] += reflection * before[i - j];
    error *= 1 - reflection * reflection;
  }
  for (std::size_t i = 0; i < kOrder; ++i) row[i] = -a[i + 1];
}

// Poles [kOrder] (re, im) -> third and fourth formant, if there are four.
bool formants(const c10::complex<double>* poles, double& third, double& fourth) {
  std::array<double, kOrder> found{};
  std::size_t n = 0;
  for (std::int64_t i = 0; i < kOrder; ++i) {
    const auto hz = std::atan2(poles[i].imag(), poles[i].real()) * kTopHz / std::numbers::pi;
    const auto width = -std::log(std::hypot(poles[i].real(), poles[i].imag())) * 2 * kTopHz / std::numbers::pi;
    if (hz > kLowestHz && width < kWidestHz) found[n++] = hz;
  }
  if (n < 4) return false;
  std::sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(n));
  third = found[2];
  fourth = found[3];
  return true;
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace
}  // namespace vocal_tract_detail

double vocal_tract_warp(std::span<const float> wave_16k, int threads) {
  using namespace vocal_tract_detail;
  const c10::NoGradGuard no_grad;
  const ThreadLimit limit(threads);
  const auto n_frames = static_cast<std::int64_t>(wave_16k.size()) / kFeatureHopSamples;
  const auto stride = std::max<std::int64_t>(2, n_frames / kMostFrames);
  if (n_frames == 0) return 1;
  const auto spectra = short_spectra(wave_16k, 0, (n_frames + stride - 1) / stride, stride);  // [n, 257]
  const auto level = spectra.sum(1);
  const auto loud = at::nonzero(level > level.max() * std::pow(10.0, -2.5)).squeeze(1);
  if (loud.size(0) == 0) return 1;
  const auto r = autocorrelations(spectra.index_select(0, loud)).contiguous();  // [n, kOrder + 1]
  auto companions = at::zeros({r.size(0), kOrder, kOrder}, at::kDouble);
  companions.slice(1, 1).diagonal(0, 1, 2).fill_(1);
  for (std::int64_t i = 0; i < r.size(0); ++i) {
    predictor(r.data_ptr<double>() + i * (kOrder + 1), companions.data_ptr<double>() + i * kOrder * kOrder);
  }
  const auto poles = at::linalg_eigvals(companions).contiguous();  // [n, kOrder]
  std::vector<double> thirds, fourths;
  for (std::int64_t i = 0; i < poles.size(0); ++i) {
    double third = 0, fourth = 0;
    if (!formants(poles.data_ptr<c10::complex<double>>() + i * kOrder, third, fourth)) continue;
    thirds.push_back(third);
    fourths.push_back(fourth);
  }
  if (thirds.empty()) return 1;
  const auto n = static_cast<double>(thirds.size());
  const auto warp = std::sqrt(median(thirds) / kThirdHz * median(fourths) / kFourthHz);
  return 1 + (std::clamp(warp, 0.85, 1.25) - 1) * n / (n + kDoubtFrames);
}

}  // namespace melisma
