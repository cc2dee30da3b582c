// Names and shapes of a synthesizer's tensors without building one: to check a file before, or without, loading it.
#pragma once
#include <optional>

#include "models/rvc/config.h"
#include "models/rvc/synthesizer.h"
#include "models/weights/state_dict.h"

namespace melisma {

// The state dict of Synthesizer(config, form) in names, shapes and order; the tensors hold one number each and need no
// memory.
[[nodiscard]] StateDict rvc_tensor_shapes(const RvcConfig& config, const SynthesizerForm& form);

// The vocoder whose decoder `weights` hold, told by names; empty if it is none that is known.
[[nodiscard]] std::string_view rvc_vocoder_of_shapes(const StateDict& weights);

// The sample rate that the decoder of `weights` was made for, in Hz; nothing if they do not tell.
[[nodiscard]] std::optional<std::int64_t> rvc_rate_of_shapes(const StateDict& weights);

// The configuration that `weights` (complete or extracted, folded or not) must have been made with. Rates and
// spectrogram come from the RVC tools' configurations, told by kernels; of refinegan, whose tensors are the same at
// every rate, by `sample_rate_hz`, which others need not give (0). Throws Error(checkpoint) naming the first tensor
// that is missing or odd, or that the kernels are of no known configuration or the rate is not known or not theirs.
[[nodiscard]] RvcConfig rvc_config_of_shapes(const StateDict& weights, std::int64_t sample_rate_hz = 0);

// Which axis of `name` has the output channels: 1 for the decoder's transposed convolutions, else 0.
[[nodiscard]] std::int64_t rvc_output_axis(std::string_view name);

}  // namespace melisma
