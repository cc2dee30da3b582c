#include "models/rvc/synthesizer.h"

#include <ATen/ATen.h>

#include "models/layers/wide.h"
#include "tools/base/error.h"

namespace melisma {

at::Tensor slice_rows(const at::Tensor& x, const at::Tensor& starts, std::int64_t count) {
  std::vector<at::Tensor> rows;
  const auto first = starts.to(at::kCPU, at::kLong).contiguous();
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    const auto start = first.data_ptr<std::int64_t>()[row];
    rows.push_back(x.select(0, row).slice(1, start, start + count));
  }
  return at::stack(rows);
}

TrainingNoise draw_training_noise(const RvcConfig& config, std::int64_t batch, std::int64_t frames,
                                  at::Generator& generator) {
  const at::TensorOptions floats;
  TrainingNoise noise;
  noise.posterior = at::randn({batch, config.inter_channels, frames}, generator, floats);
  noise.slice = at::rand({batch}, generator, floats);
  if (!config.use_f0) return noise;
  const auto sines = vocoder_of(config).sines;
  noise.source = at::randn({batch, config.segment_samples(), sines}, generator, floats);
  if (sines > 1) noise.phases = at::rand({batch, sines}, generator, floats);
  noise.layers = [generator, floats](std::int64_t, at::IntArrayRef shape) {
    return at::randn(shape, generator, floats);
  };
  return noise;
}

Synthesizer::Synthesizer(const RvcConfig& config, const SynthesizerForm& form) : config_(config) {
  text_ = make_child<TextEncoder>("enc_p", config);
  decoder_ = make_decoder(config, form.weight_norm);
  child("dec", static_cast<Module&>(*decoder_));
  if (form.posterior) posterior_ = make_child<PosteriorEncoder>("enc_q", config, form.weight_norm);
  flow_ = make_child<Flow>("flow", config, form.weight_norm);
  speaker_ = make_child<Embedding>("emb_g", config.speakers, config.speaker_channels);
}

at::Tensor Synthesizer::speaker_vector(const at::Tensor& speaker) const { return (*speaker_)(speaker).unsqueeze(-1); }

TrainingOutput Synthesizer::forward(const RvcInput& input, const at::Tensor& spectrum,
                                    const TrainingNoise& noise) const {
  if (!posterior_) fail(ErrorKind::internal, "this synthesizer has no posterior encoder: it cannot be trained");
  const auto segment = config_.segment_frames;
  TrainingOutput out;
  out.mask = sequence_mask(input.lengths, spectrum.size(2), spectrum.scalar_type(), spectrum.device());
  const auto speaker = speaker_vector(input.speaker);
  out.prior = encode_text(input.content, input.coarse_pitch, out.mask);
  out.posterior = (*posterior_)(spectrum, out.mask, speaker);
  out.z = (out.posterior.mean + noise.posterior * at::exp(out.posterior.log_std)) * out.mask;
  out.z_prior = flow_->forward(out.z, out.mask, speaker);
  const auto room = (input.lengths - segment + 1).clamp_min(1).to(noise.slice.scalar_type());
  out.slice_starts = (noise.slice * room).to(at::kLong);
  at::Tensor source;
  if (config_.use_f0) {
    const WideArithmetic whole;
    const auto f0 = slice_rows(input.f0_hz.unsqueeze(1), out.slice_starts, segment).squeeze(1);
    source = decoder_->source()(f0, {noise.source, noise.phases});
  }
  out.wave = (*decoder_)(slice_rows(out.z, out.slice_starts, segment), speaker, source, noise.layers);
  return out;
}

InferenceOutput Synthesizer::infer(const RvcInput& input, const at::Tensor& prior_noise, const at::Tensor& source_noise,
                                   double noise_scale) const {
  InferenceOutput out;
  const auto& content = input.content;
  out.mask = sequence_mask(input.lengths, content.size(1), content.scalar_type(), content.device());
  const auto speaker = speaker_vector(input.speaker);
  out.prior = encode_text(input.content, input.coarse_pitch, out.mask);
  out.z_prior = out.prior.mean;
  if (prior_noise.defined()) out.z_prior = out.z_prior + at::exp(out.prior.log_std) * prior_noise * noise_scale;
  out.z_prior = out.z_prior * out.mask;
  out.z = flow_->reverse(out.z_prior, out.mask, speaker);
  at::Tensor source;
  if (config_.use_f0) source = decoder_->source()(input.f0_hz, {source_noise, {}});
  out.wave = (*decoder_)(out.z * out.mask, speaker, source);
  return out;
}

}  // namespace melisma
