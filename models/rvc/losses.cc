#include "models/rvc/losses.h"

#include <ATen/ATen.h>

#include "models/layers/wide.h"

namespace melisma {
namespace {

at::Tensor sum_of_terms(const std::vector<at::Tensor>& terms) { return at::stack(terms).sum(); }

}  // namespace

at::Tensor discriminator_loss(const Judgements& real, const Judgements& made) {
  std::vector<at::Tensor> terms;
  for (std::size_t i = 0; i < real.size(); ++i) {
    terms.push_back((1 - wide(real[i].logits)).square().mean() + wide(made[i].logits).square().mean());
  }
  return sum_of_terms(terms);
}

at::Tensor adversarial_loss(const Judgements& made) {
  std::vector<at::Tensor> terms;
  for (const auto& judgement : made) terms.push_back((1 - wide(judgement.logits)).square().mean());
  return sum_of_terms(terms);
}

at::Tensor feature_loss(const Judgements& real, const Judgements& made) {
  std::vector<at::Tensor> terms;
  for (std::size_t i = 0; i < real.size(); ++i) {
    for (std::size_t layer = 0; layer < real[i].features.size(); ++layer) {
      terms.push_back(at::l1_loss(wide(made[i].features[layer]), wide(real[i].features[layer].detach())));
    }
  }
  return sum_of_terms(terms);
}

at::Tensor kl_loss(const at::Tensor& z_prior, const at::Tensor& log_std_posterior, const at::Tensor& mean_prior,
                   const at::Tensor& log_std_prior, const at::Tensor& mask) {
  const auto prior = wide(log_std_prior);
  const auto distance = (wide(z_prior) - wide(mean_prior)).square() * at::exp(-2 * prior);
  const auto divergence = prior - wide(log_std_posterior) - 0.5 + 0.5 * distance;
  return (divergence * mask).sum() / mask.sum();
}

}  // namespace melisma
