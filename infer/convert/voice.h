// A voice ready to speak: a model file turned into a function from content features and f0 to audio.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "infer/features/content.h"
#include "infer/features/pitch.h"
#include "models/weights/model_file.h"

namespace melisma {

struct SynthesisOptions {
  std::uint64_t noise_seed = 0;     // noise is a function of (seed, absolute position): chunking does not change it
  double noise_scale = 0.66666;     // standard deviation of the prior sample; 0 = no randomness in the latent
  bool source_noise = true;         // the decoder's own: of the harmonic source, and of layers that add some
  std::int64_t chunk_frames = 600;  // frames decoded at a time; bounds memory, does not change the result
};

// How much of a voice's speakers is heard: their embeddings are added, weight by weight. One of weight 1 is that
// speaker.
struct SpeakerShare {
  std::int64_t row = 0;
  double weight = 1;
};
using SpeakerMix = std::vector<SpeakerShare>;

class Voice {
 public:
  // Builds the family's network there and loads the weights (weight norm folded). Error(checkpoint) if they do not fit.
  // What is given to it and what it gives lies in the CPU's memory wherever the network is; noise is the CPU's too, so
  // devices differ in rounding only.
  static Voice load(const ModelFile& file, at::Device device = at::kCPU);
  // The same network with fresh weights drawn from `seed`: the baseline an evaluation compares with.
  static Voice untrained(const ModelFile& file, std::uint64_t seed);
  Voice(Voice&&) noexcept;
  Voice& operator=(Voice&&) noexcept;
  ~Voice();

  [[nodiscard]] std::int64_t sample_rate_hz() const;
  [[nodiscard]] std::int64_t hop_samples() const;                  // samples a frame (1/100 s)
  [[nodiscard]] const std::vector<std::string>& speakers() const;  // empty if the file does not name them
  [[nodiscard]] std::int64_t n_speakers() const;                   // the named ones, otherwise all the network has
  // What the network was trained on, and so must be fed with. Of a voice of the RVC tools, which do not write it down:
  // the HuBERT output of its width, whichever weights it was made with, and the usual pitch method, as also for curves
  // that were imported.
  [[nodiscard]] const ContentConfig& content() const;
  [[nodiscard]] std::int64_t content_columns() const;  // of the features it is fed with
  [[nodiscard]] const PitchConfig& pitch() const;

  // content [frames][width] and f0_hz [frames] at 100 frames/s (0 = unvoiced) -> frames * hop_samples() samples in [-1,
  // 1], handed to `take` piece by piece in order. Text-encoder windows are fixed (30 s with faded overlaps), everything
  // after it is computed in chunks with full context.
  void synthesize(const FeatureMatrix& content, std::span<const float> f0_hz, const SpeakerMix& speakers,
                  const SynthesisOptions& options, const std::function<void(std::span<const float>)>& take) const;
  [[nodiscard]] std::vector<float> synthesize(const FeatureMatrix& content, std::span<const float> f0_hz,
                                              std::int64_t speaker, const SynthesisOptions& options) const;
  // A dataset clip through the network: its stored features in, audio out, cut to the clip's length.
  [[nodiscard]] std::vector<float> resynthesize(const Dataset& dataset, const Clip& clip,
                                                const SynthesisOptions& options) const;

 private:
  struct State;
  explicit Voice(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace melisma
