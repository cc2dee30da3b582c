// How well sources were separated, by BSS Eval: what of an estimate's error is filtering, interference or artefact.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace melisma {

// An estimate e of source s is split into s, what a short filter of s adds (spatial distortion), what filters of all
// sources add to that (interference), and the rest (artefacts); the filters fit best in the sense of least squares
// (Vincent et al. 2006). All ratios are in dB.

struct BssConfig {
  int64_t taps = 512;                      // length of the filters
  int64_t window = 0, hop = 0;             // samples of a frame and from frame to frame, whole frames; 0 = everything
  bool has_filters_of_each_frame = false;  // fit in each frame (museval's v3) instead of once in the whole signal (v4)
};

// One number a frame. NaN where any source, true or estimated, is silent in the frame; infinite for no error.
struct ImageRatios {
  std::vector<double> sdr;  // s against e - s
  std::vector<double> isr;  // s against spatial distortion
  std::vector<double> sir;  // s and its distortion against interference
  std::vector<double> sar;  // everything but artefacts against artefacts
};

// Stereo or other images, as museval 0.4's bss_eval. references, estimates [sources, channels, N], sources in the same
// order; computed in double. SDR does not depend on the filters. Throws Error(data) for shapes that differ.
[[nodiscard]] std::vector<ImageRatios> bss_eval_images(const at::Tensor& references, const at::Tensor& estimates,
                                                       const BssConfig& config = {});

struct SourceRatios {
  double sdr = 0;           // the filtered source against everything else
  double sir = 0, sar = 0;  // as above
  int64_t estimate = 0;     // which estimate belongs to this source
};

// Mono sources, as mir_eval's bss_eval_sources (v3): a filter of the source counts as the source. With taps = 1 these
// are the scale-invariant SDR, SIR and SAR. references, estimates [sources, N], at most 16; estimates are given to the
// sources so that the mean SIR is largest. Throws Error(data) for other shapes or a silent source or estimate.
[[nodiscard]] std::vector<SourceRatios> bss_eval_sources(const at::Tensor& references, const at::Tensor& estimates,
                                                         int64_t taps = 512);

// SDR of one pair [N], which the other sources have no part in; more than 120 dB is infinite.
[[nodiscard]] double filtered_sdr_db(const at::Tensor& reference, const at::Tensor& estimate, int64_t taps = 512);

}  // namespace melisma
