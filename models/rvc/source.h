// The excitation of a voice: sines that follow f0, and noise.
#pragma once
#include "models/layers/layers.h"

namespace melisma {

// What differs between the vocoders' sources.
struct SourceForm {
  std::int64_t sines = 1;        // at 1, 2, ... times f0
  bool interpolates_f0 = false;  // f0 moves in straight lines between the middles of frames; false: held for a frame
  const char* merge = "l_linear";
  bool merge_bias = true;
};

// The random numbers of an excitation.
struct SourceNoise {
  at::Tensor normal;  // [B, T hop, sines]; undefined = none
  at::Tensor phases;  // [B, sines] cycles that each sine is ahead at the start, the first excepted; undefined = 0
};

// Sines of f0 at audio rate plus noise, merged into one channel.
class SourceModule final : public Module {
 public:
  SourceModule(std::int64_t sample_rate_hz, std::int64_t hop, const SourceForm& form = {});
  // f0_hz [B, T], 0 = unvoiced; cycles [B, T] double: the phase before each frame, undefined = as from cycles_before,
  // which a piece of a longer curve is given from the whole. -> [B, 1, T hop]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& f0_hz, const SourceNoise& noise,
                                      const at::Tensor& cycles = {}) const;
  // sin(phase) with the phase summed in double (Applio's per-frame sums and WebUI's interpolation both stay within 4e-6
  // of it), [B, T hop, sines]; not yet scaled or masked.
  [[nodiscard]] at::Tensor sines(const at::Tensor& f0_hz, const at::Tensor& phases = {},
                                 const at::Tensor& cycles = {}) const;
  // The fundamental's phase in cycles before each frame, [B, T] double in [0, 1).
  [[nodiscard]] at::Tensor cycles_before(const at::Tensor& f0_hz) const;

 private:
  [[nodiscard]] at::Tensor cycles_of_samples(const at::Tensor& f0_hz, const at::Tensor& cycles) const;
  [[nodiscard]] at::Tensor interpolated(const at::Tensor& f0_hz) const;

  std::int64_t sample_rate_hz_, hop_;
  SourceForm form_;
  Owned<Linear> merge_;
};

}  // namespace melisma
