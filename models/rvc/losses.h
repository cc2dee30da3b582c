// The loss terms of RVC training, unweighted.
#pragma once
#include "models/rvc/discriminator.h"

namespace melisma {

// Least-squares GAN (Mao et al. 2017): sum over sub-discriminators of mean((1 - real)^2) + mean(made^2). -> []
[[nodiscard]] at::Tensor discriminator_loss(const Judgements& real, const Judgements& made);
// Sum over sub-discriminators of mean((1 - made)^2). -> []
[[nodiscard]] at::Tensor adversarial_loss(const Judgements& made);
// Sum over sub-discriminators and layers of mean |real - made|; real gets no gradient. The RVC tools weigh it by 2. ->
// []
[[nodiscard]] at::Tensor feature_loss(const Judgements& real, const Judgements& made);
// KL divergence of the posterior sample's distribution from the prior, per frame: z_prior, log_std_posterior,
// mean_prior, log_std_prior [B, C, T], mask [B, 1, T]; sum over the masked cells by the sum of the mask. -> []
[[nodiscard]] at::Tensor kl_loss(const at::Tensor& z_prior, const at::Tensor& log_std_posterior,
                                 const at::Tensor& mean_prior, const at::Tensor& log_std_prior, const at::Tensor& mask);

}  // namespace melisma
