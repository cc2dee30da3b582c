#include "eval/metrics/separation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "eval/metrics/least_squares_filters.h"
#include "tools/base/error.h"

namespace melisma {
namespace separation {
namespace {

constexpr int64_t kMostSources = 16;
constexpr double kLeastShare = 1e-12;  // of an energy: what is less is rounding

double decibels(double signal, double error) {
  if (error == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / error);
}

// The next length that has no prime factor above five.
int64_t smooth_length(int64_t least) {
  for (auto length = least;; ++length) {
    auto rest = length;
    for (const int64_t prime : {2, 3, 5}) {
      while (rest % prime == 0) rest /= prime;
    }
    if (rest == 1) return length;
  }
}

double energy(const at::Tensor& wave) { return wave.square().sum().item<double>(); }

// Of a signal with this half spectrum [..., bins], all of it together.
double spectral_energy(const at::Tensor& spectrum, int64_t length) {
  const auto power = at::real(spectrum * spectrum.conj()).flatten(0, -2).sum(0);  // [bins]
  const auto ends = power[0].item<double>() + (length % 2 == 0 ? power[-1].item<double>() : 0);
  return (2 * power.sum().item<double>() - ends) / static_cast<double>(length);
}

bool any_silent(const at::Tensor& sources) { return (sources.abs().flatten(1).amax({1}) == 0).any().item<bool>(); }

// The fitted filters as spectra: of every estimated channel from all sources, and from its own source only.
struct Projections {
  at::Tensor all;  // [sources channels, sources, channels, bins]
  at::Tensor own;  // [sources, channels, channels, bins]: from channel, to channel
};

Projections fit(const at::Tensor& references, const at::Tensor& estimates, int64_t taps, int64_t length) {
  const auto n_sources = references.size(0), n_channels = references.size(1);
  const auto equations = normal_equations(references.flatten(0, 1), estimates.flatten(0, 1), taps);
  const auto spectra = [&](const at::Tensor& filters) {  // [signals taps, targets] -> [signals, targets, bins]
    return at::fft_rfft(filters.view({-1, taps, filters.size(1)}), length, 1).transpose(1, 2);
  };
  Projections projections;
  projections.all = spectra(equations.solve()).reshape({n_sources * n_channels, n_sources, n_channels, length / 2 + 1});
  std::vector<at::Tensor> own;
  for (int64_t j = 0; j < n_sources; ++j) {
    own.push_back(spectra(equations.part(j * n_channels, n_channels, j * n_channels, n_channels).solve()));
  }
  projections.own = at::stack(own);
  return projections;
}

// Appends one frame's ratios of every source. references, estimates [sources, channels, frame].
void judge_frame(const at::Tensor& references, const at::Tensor& estimates, const Projections& projections,
                 int64_t length, std::vector<ImageRatios>& ratios) {
  const auto true_spectra = at::fft_rfft(references, length), made = at::fft_rfft(estimates, length);
  const auto n_sources = references.size(0);
  for (int64_t j = 0; j < n_sources; ++j) {
    const auto filtered = [](const at::Tensor& filters, const at::Tensor& signals) {  // [S, C, bins], [S, bins]
      return (filters * signals.unsqueeze(1)).sum(0);                                 // [C, bins]
    };
    const auto all = filtered(projections.all.select(1, j), true_spectra.flatten(0, 1));
    const auto own = filtered(projections.own[j], true_spectra[j]);
    const auto energy_of = [&](const at::Tensor& spectrum) { return spectral_energy(spectrum, length); };
    auto& r = ratios[static_cast<std::size_t>(j)];
    const auto source = energy(references[j]);
    r.sdr.push_back(decibels(source, energy(estimates[j] - references[j])));
    r.isr.push_back(decibels(source, energy_of(own - true_spectra[j])));
    r.sir.push_back(decibels(energy_of(own), energy_of(all - own)));
    r.sar.push_back(decibels(energy_of(all), energy_of(made[j] - all)));
  }
}

void check_images(const at::Tensor& references, const at::Tensor& estimates, const BssConfig& config) {
  if (references.dim() != 3 || references.sizes() != estimates.sizes() || references.size(0) < 1) {
    fail(ErrorKind::data, "BSS Eval: estimates have another shape than the references, or not [sources, channels, N]");
  }
  if (config.taps < 1 || config.window < 0 || config.hop < 0 || (config.window > 0 && config.hop == 0)) {
    fail(ErrorKind::config, "BSS Eval: {} taps, a window of {} and a hop of {} samples are not possible", config.taps,
         config.window, config.hop);
  }
}

// For each source the estimate that makes the sum of `score` [sources][estimates] largest: over all subsets of
// estimates given to the first sources.
std::vector<int64_t> best_assignment(const std::vector<std::vector<double>>& score) {
  const auto n = score.size();
  std::vector<double> best(std::size_t{1} << n, -std::numeric_limits<double>::infinity());
  std::vector<std::size_t> last(best.size(), 0);
  best[0] = 0;
  for (std::size_t taken = 0; taken + 1 < best.size(); ++taken) {
    const auto source = static_cast<std::size_t>(std::popcount(taken));
    for (std::size_t e = 0; e < n; ++e) {
      const auto next = taken | (std::size_t{1} << e);
      const auto sum = best[taken] + score[source][e];
      if (next == taken || sum <= best[next]) continue;
      best[next] = sum;
      last[next] = e;
    }
  }
  std::vector<int64_t> chosen(n);
  for (auto taken = best.size() - 1; taken != 0;) {
    const auto e = last[taken];
    chosen[static_cast<std::size_t>(std::popcount(taken)) - 1] = static_cast<int64_t>(e);
    taken &= ~(std::size_t{1} << e);
  }
  return chosen;
}

// What of `whole` is left beside `part`, none of it if it is rounding.
double beside(double whole, double part) { return whole - part <= kLeastShare * whole ? 0 : whole - part; }

}  // namespace
}  // namespace separation

std::vector<ImageRatios> bss_eval_images(const at::Tensor& references, const at::Tensor& estimates,
                                         const BssConfig& config) {
  const c10::NoGradGuard no_grad;
  separation::check_images(references, estimates, config);
  const auto truth = references.to(at::kDouble), made = estimates.to(at::kDouble);
  const auto n_samples = truth.size(2);
  const auto window = config.window == 0 ? n_samples : config.window, hop = config.window == 0 ? 1 : config.hop;
  const auto length = separation::smooth_length(window + config.taps - 1);
  separation::Projections projections;
  if (!config.has_filters_of_each_frame) projections = separation::fit(truth, made, config.taps, length);
  std::vector<ImageRatios> ratios(static_cast<std::size_t>(truth.size(0)));
  for (int64_t first = 0; first + window <= n_samples; first += hop) {
    const auto true_frame = truth.slice(2, first, first + window), frame = made.slice(2, first, first + window);
    if (separation::any_silent(true_frame) || separation::any_silent(frame)) {
      for (auto& r : ratios) {
        for (auto* numbers : {&r.sdr, &r.isr, &r.sir, &r.sar}) {
          numbers->push_back(std::numeric_limits<double>::quiet_NaN());
        }
      }
    } else {
      if (config.has_filters_of_each_frame) projections = separation::fit(true_frame, frame, config.taps, length);
      separation::judge_frame(true_frame, frame, projections, length, ratios);
    }
    if (config.window == 0) break;
  }
  return ratios;
}

std::vector<SourceRatios> bss_eval_sources(const at::Tensor& references, const at::Tensor& estimates, int64_t taps) {
  const c10::NoGradGuard no_grad;
  if (references.dim() != 2 || references.sizes() != estimates.sizes() || references.size(0) < 1 ||
      references.size(0) > separation::kMostSources) {
    fail(ErrorKind::data, "BSS Eval: expected 1 to {} sources [sources, N] and as many estimates",
         separation::kMostSources);
  }
  const auto truth = references.to(at::kDouble), made = estimates.to(at::kDouble);
  if (separation::any_silent(truth) || separation::any_silent(made)) {
    fail(ErrorKind::data, "BSS Eval: a source or an estimate is silent all through; leave it out");
  }
  const auto n = truth.size(0);
  const auto equations = normal_equations(truth, made, taps);
  const auto all = (equations.solve() * equations.moment).sum(0);  // [n]: what all sources explain of each estimate
  std::vector<std::vector<SourceRatios>> pairs(static_cast<std::size_t>(n));
  std::vector<std::vector<double>> sir(static_cast<std::size_t>(n));
  for (int64_t j = 0; j < n; ++j) {
    const auto filters = equations.part(j, 1, 0, n);
    const auto own = (filters.solve() * filters.moment).sum(0);  // [n]
    for (int64_t e = 0; e < n; ++e) {
      const auto whole = separation::energy(made[e]), by_all = all[e].item<double>(), by_own = own[e].item<double>();
      SourceRatios ratios{.sdr = separation::decibels(by_own, separation::beside(whole, by_own)),
                          .sir = separation::decibels(by_own, separation::beside(by_all, by_own)),
                          .sar = separation::decibels(by_all, separation::beside(whole, by_all)),
                          .estimate = e};
      pairs[static_cast<std::size_t>(j)].push_back(ratios);
      sir[static_cast<std::size_t>(j)].push_back(std::clamp(ratios.sir, -1e3, 1e3));
    }
  }
  std::vector<SourceRatios> best;
  const auto chosen = separation::best_assignment(sir);
  for (std::size_t j = 0; j < pairs.size(); ++j) best.push_back(pairs[j][static_cast<std::size_t>(chosen[j])]);
  return best;
}

double filtered_sdr_db(const at::Tensor& reference, const at::Tensor& estimate, int64_t taps) {
  const c10::NoGradGuard no_grad;
  const auto truth = reference.to(at::kDouble).unsqueeze(0), made = estimate.to(at::kDouble).unsqueeze(0);
  const auto whole = separation::energy(made);
  if (whole == 0) return -std::numeric_limits<double>::infinity();
  const auto equations = normal_equations(truth, made, taps);
  const auto explained = (equations.solve() * equations.moment).sum().item<double>();
  return separation::decibels(explained, separation::beside(whole, explained));
}

}  // namespace melisma
