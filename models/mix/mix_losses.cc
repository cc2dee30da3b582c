#include "models/mix/mix_losses.h"

#include <ATen/ATen.h>

#include <memory>

#include "data/signal/stft_loss.h"
#include "models/mix/audio_features.h"
#include "tools/base/error.h"

namespace melisma {
namespace mix_loss_terms {
namespace {

// Squared difference of one feature, that of the target kept.
template <class Feature>
MixLossTerm feature_term(const WantedMix& wanted, Feature feature) {
  return [feature, target = feature(wanted.wave)](const MadeMix& made) {
    return at::mse_loss(feature(made.wave), target);
  };
}

MixLossTerm stft_term(const WantedMix& wanted, std::vector<StftLossConfig> configs) {
  const auto target = std::make_shared<const StftTarget>(wanted.wave, std::move(configs));
  return [target](const MadeMix& made) { return target->loss(made.wave); };
}

// Mean of squares where `present` [B, T] says so; difference [B, T, n].
at::Tensor mean_square(const at::Tensor& difference, const at::Tensor& present) {
  if (!present.defined()) return difference.square().mean();
  const auto weights = present.to(difference.scalar_type()).unsqueeze(-1);
  return (difference.square() * weights).sum() / (weights.sum() * difference.size(-1)).clamp_min(1);
}

}  // namespace
}  // namespace mix_loss_terms

MixLossTerm make_mr_stft_term(const WantedMix& wanted) {
  return mix_loss_terms::stft_term(wanted, multi_resolution_configs());
}

MixLossTerm make_mixing_stft_term(const WantedMix& wanted) {
  return mix_loss_terms::stft_term(wanted, mixing_stft_configs());
}

MixLossTerm make_sum_difference_term(const WantedMix& wanted) {
  std::vector<StftLossConfig> configs;
  for (const int64_t n_fft : {4096, 1024, 256}) configs.push_back({.n_fft = n_fft, .hop = n_fft / 2, .window = n_fft});
  const auto both = sum_and_difference(wanted.wave);
  const auto sum = std::make_shared<const StftTarget>(both.select(-2, 0), configs);
  const auto difference = std::make_shared<const StftTarget>(both.select(-2, 1), configs);
  return [sum, difference](const MadeMix& made) {
    const auto both_of_it = sum_and_difference(made.wave);
    return .5 * (sum->loss(both_of_it.select(-2, 0)) + difference->loss(both_of_it.select(-2, 1)));
  };
}

MixLossTerm make_l1_term(const WantedMix& wanted) {
  return [target = wanted.wave](const MadeMix& made) { return at::l1_loss(made.wave, target); };
}

MixLossTerm make_rms_term(const WantedMix& wanted) { return mix_loss_terms::feature_term(wanted, mix_rms); }

MixLossTerm make_crest_term(const WantedMix& wanted) { return mix_loss_terms::feature_term(wanted, mix_crest_db); }

MixLossTerm make_width_term(const WantedMix& wanted) { return mix_loss_terms::feature_term(wanted, mix_width); }

MixLossTerm make_imbalance_term(const WantedMix& wanted) { return mix_loss_terms::feature_term(wanted, mix_imbalance); }

MixLossTerm make_bark_term(const WantedMix& wanted) {
  return mix_loss_terms::feature_term(
      wanted, [rate = wanted.sample_rate_hz](const at::Tensor& wave) { return mix_bark_spectrum(wave, rate); });
}

MixLossTerm make_lufs_term(const WantedMix& wanted) {
  return mix_loss_terms::feature_term(
      wanted, [rate = wanted.sample_rate_hz](const at::Tensor& wave) { return mix_lufs(wave, rate); });
}

MixLossTerm make_parameters_term(const WantedMix& wanted) {
  if (!wanted.controls.tracks.defined()) {
    fail(ErrorKind::data,
         "the loss 'parameters' needs songs whose console parameters are known; set losses.parameters = 0");
  }
  return [wanted](const MadeMix& made) {
    if (!made.controls.tracks.defined()) {
      fail(ErrorKind::config, "the loss 'parameters' needs a model that predicts console parameters");
    }
    auto loss = mix_loss_terms::mean_square(made.controls.tracks - wanted.controls.tracks, wanted.present);
    if (!wanted.controls.master.defined() || !made.controls.master.defined()) return loss;
    return loss + at::mse_loss(made.controls.master, wanted.controls.master);
  };
}

MixCriterion::MixCriterion(const MixLossWeights& weights, const WantedMix& wanted) {
  std::size_t row = 0;
  const auto add = [&](const auto& field) {
    const double weight = weights.*(field.member);
    if (weight > 0) terms_.push_back({std::string(field.name), weight, kMixLosses[row].make(wanted)});
    ++row;
  };
  std::apply([&](const auto&... fields) { (add(fields), ...); }, MixLossWeights::fields());
  if (terms_.empty()) fail(ErrorKind::config, "every weight of [losses] is 0; give at least one of them a weight");
}

MixCriterion::Judgement MixCriterion::operator()(const MadeMix& made) const {
  Judgement judgement;
  for (const auto& [name, weight, term] : terms_) {
    const auto loss = term(made);
    judgement.terms.emplace_back(name, loss.detach());
    const auto weighted = loss * weight;
    judgement.total = judgement.total.defined() ? judgement.total + weighted : weighted;
  }
  return judgement;
}

}  // namespace melisma
