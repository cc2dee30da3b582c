#include "infer/mixdown/refine.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "infer/mixdown/sheet_source.h"
#include "models/mix/mix_losses.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"

namespace melisma {
namespace refining {
namespace {

constexpr double kMargin = 1e-3;  // from the ends of a range, where a sigmoid no longer moves

// Parts in 0 ... 1 as what a sigmoid makes them of.
at::Tensor unbounded(const at::Tensor& parts) {
  return parts.clamp(kMargin, 1 - kMargin).logit().to(at::kFloat).set_requires_grad(true);
}

// Adam (Kingma, Ba 2014) on a few tensors.
class Descent {
 public:
  Descent(std::vector<at::Tensor> variables, double lr) : variables_(std::move(variables)), lr_(lr) {
    for (const auto& variable : variables_) {
      first_.push_back(at::zeros_like(variable));
      second_.push_back(at::zeros_like(variable));
    }
  }
  void step(const std::vector<at::Tensor>& gradients) {
    constexpr double kFirst = .9, kSecond = .999, kEps = 1e-8;
    const c10::NoGradGuard no_grad;
    ++n_;
    for (std::size_t i = 0; i < variables_.size(); ++i) {
      if (!gradients[i].defined()) continue;
      first_[i].mul_(kFirst).add_(gradients[i], 1 - kFirst);
      second_[i].mul_(kSecond).addcmul_(gradients[i], gradients[i], 1 - kSecond);
      const auto mean = first_[i] / (1 - std::pow(kFirst, n_)), square = second_[i] / (1 - std::pow(kSecond, n_));
      variables_[i].sub_(mean / (square.sqrt() + kEps) * lr_);
    }
  }

 private:
  std::vector<at::Tensor> variables_, first_, second_;
  double lr_;
  int n_ = 0;
};

// Where the stems together are loudest, by the energy of quarter excerpts.
at::Tensor loudest_stems(const StemStore& stems, std::int64_t count) {
  const auto hop = std::max<std::int64_t>(count / 4, 1);
  double most = -1;
  std::int64_t best = 0;
  for (std::int64_t first = 0; first == 0 || first + count <= stems.n_frames(); first += hop) {
    const double energy = excerpt_of_stems(stems, first, count).square().sum().item<double>();
    if (energy > most) most = energy, best = first;
  }
  if (most <= 0) fail(ErrorKind::data, "the stems are silent: there is nothing to bring nearer to a reference");
  return excerpt_of_stems(stems, best, count);
}

}  // namespace
}  // namespace refining

Refined refine_sheet(const StemStore& stems, const MixSheet& sheet, const Waveform& reference,
                     const RefineConfig& config, const std::function<void(std::int64_t, double)>& progress) {
  const auto rate = sheet.sample_rate_hz;
  const auto tracks = refining::loudest_stems(stems, config.excerpt_samples);
  const MixCriterion judge(config.weights,
                           {.wave = loudest_part(reference, config.excerpt_samples), .sample_rate_hz = rate});
  const Console console(rate);
  const auto start = controls_of(sheet);
  std::vector<at::Tensor> variables{refining::unbounded(start.tracks), refining::unbounded(start.master)};
  if (start.reverb.defined()) variables.push_back(refining::unbounded(start.reverb));
  refining::Descent descent(variables, config.lr);
  const auto law = sheet.is_constant_power ? PanLaw::constant_power : PanLaw::compromise;
  const auto loss_of = [&](const ConsoleControls& controls) {
    return judge({.wave = console.mix_in_time(tracks, controls)}).total;
  };
  Refined refined{.sheet = sheet};
  {
    const c10::NoGradGuard no_grad;
    const auto as_floats = [](const at::Tensor& part) { return part.defined() ? part.to(at::kFloat) : part; };
    refined.loss_before = refined.loss =
        loss_of({as_floats(start.tracks), as_floats(start.master), as_floats(start.reverb)}).item<double>();
  }
  for (std::int64_t step = 0; step < config.steps; ++step) {
    if (const int stop = stop_requested()) throw Error::interrupted(stop, "mixing stopped");
    ConsoleControls controls{variables[0].sigmoid(), variables[1].sigmoid(), {}};
    if (variables.size() > 2) controls.reverb = variables[2].sigmoid();
    const auto loss = loss_of(controls);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) fail(ErrorKind::diverged, "step {} of optimising has no finite loss", step + 1);
    if (value < refined.loss) {
      refined.loss = value;
      refined.best_step = step + 1;
      const c10::NoGradGuard no_grad;
      refined.sheet = sheet_of({controls.tracks.detach(), controls.master.detach(),
                                controls.reverb.defined() ? controls.reverb.detach() : at::Tensor()},
                               stems, law);
    }
    descent.step(torch::autograd::grad({loss}, variables, {}, std::nullopt, false, true));
    if (progress) progress(step + 1, refined.loss);
  }
  return refined;
}

}  // namespace melisma
