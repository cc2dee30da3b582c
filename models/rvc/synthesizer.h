// The RVC synthesizer: text encoder, posterior encoder, flow and decoder, for training and for speaking.
#pragma once
#include "models/rvc/decoder.h"
#include "models/rvc/encoders.h"

namespace melisma {

// What the network is fed with, for B clips of at most T frames.
struct RvcInput {
  at::Tensor content;       // [B, T, W]
  at::Tensor lengths;       // int64 [B], frames of each clip; in the CPU's memory wherever the rest is
  at::Tensor coarse_pitch;  // int64 [B, T], 1..255; undefined without f0
  at::Tensor f0_hz;         // [B, T], 0 = unvoiced; undefined without f0
  at::Tensor speaker;       // int64 [B]
};

// Every random number of a training forward, so that a test or a resumed run can repeat it.
struct TrainingNoise {
  at::Tensor posterior;  // [B, inter, T] normal
  at::Tensor slice;      // [B] uniform in [0, 1): where the decoded segment starts; in the CPU's memory
  at::Tensor source;     // [B, segment_frames hop, sines] normal; undefined without f0
  at::Tensor phases;     // [B, sines] uniform in [0, 1); undefined for a source of one sine
  LayerNoise layers;     // of vocoders whose layers add noise
};

// Draws them in this order from `generator`, which the layers' noise keeps drawing from.
[[nodiscard]] TrainingNoise draw_training_noise(const RvcConfig& config, std::int64_t batch, std::int64_t frames,
                                                at::Generator& generator);

struct TrainingOutput {
  at::Tensor wave;          // [B, 1, segment_frames hop]
  at::Tensor slice_starts;  // int64 [B], first frame of the segment; in the CPU's memory
  at::Tensor mask;          // [B, 1, T] frames of the spectrogram
  at::Tensor z, z_prior;    // posterior sample, and the same through the flow: [B, inter, T]
  LatentStatistics prior, posterior;
};

struct InferenceOutput {
  at::Tensor wave;        // [B, 1, T hop]
  at::Tensor mask;        // [B, 1, T]
  at::Tensor z, z_prior;  // [B, inter, T]
  LatentStatistics prior;
};

// Which parts exist and how weights are kept; differs between a training checkpoint and an extracted voice.
struct SynthesizerForm {
  bool posterior = true;    // enc_q is there: needed for training, absent from extracted voices
  bool weight_norm = true;  // false: weights folded in the file
};

class Synthesizer final : public Module {
 public:
  // Names, order and shapes of the parameters are those of the RVC tools' state dicts.
  explicit Synthesizer(const RvcConfig& config, const SynthesizerForm& form = {});

  [[nodiscard]] const RvcConfig& config() const { return config_; }

  // spectrum [B, n_fft / 2 + 1, T]: linear spectrogram of the same clips. Clips shorter than a segment must be padded.
  [[nodiscard]] TrainingOutput forward(const RvcInput& input, const at::Tensor& spectrum,
                                       const TrainingNoise& noise) const;

  // prior_noise [B, inter, T] and source_noise [B, T hop, sines]: normal; undefined = none. Layers add none.
  [[nodiscard]] InferenceOutput infer(const RvcInput& input, const at::Tensor& prior_noise,
                                      const at::Tensor& source_noise, double noise_scale = 0.66666) const;

  // The parts, for those who work in pieces. mask [B, 1, T]; speaker from speaker_vector().
  [[nodiscard]] at::Tensor speaker_vector(const at::Tensor& speaker) const;  // int64 [B] -> [B, S, 1]
  [[nodiscard]] LatentStatistics encode_text(const at::Tensor& content, const at::Tensor& coarse_pitch,
                                             const at::Tensor& mask) const {
    return (*text_)(content, coarse_pitch, mask);
  }
  [[nodiscard]] const Flow& flow() const { return *flow_; }
  [[nodiscard]] const Decoder& decoder() const { return *decoder_; }

 private:
  RvcConfig config_;
  Owned<TextEncoder> text_;
  Owned<Decoder> decoder_;
  Owned<PosteriorEncoder> posterior_;
  Owned<Flow> flow_;
  Owned<Embedding> speaker_;
};

// Frames start..start + count of each row: x [B, C, T], starts int64 [B] -> [B, C, count].
[[nodiscard]] at::Tensor slice_rows(const at::Tensor& x, const at::Tensor& starts, std::int64_t count);

}  // namespace melisma
