// The differentiable mixing console: tracks and parameters to a stereo mix, as the console of Diff-MST.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "models/mix/console_parameters.h"

namespace melisma {

// Parameters in 0 ... 1, in the order of the tables of console_parameters.h.
struct ConsoleControls {
  at::Tensor tracks;  // [B, T, 27]
  at::Tensor master;  // [B, 26]
  at::Tensor reverb;  // [B, 24]; undefined: no reverb
};

// Parts [..., n] in 0 ... 1 -> values in each parameter's unit, and back. Differentiable.
[[nodiscard]] at::Tensor console_values(const at::Tensor& parts, std::span<const ConsoleParameter> parameters,
                                        std::int64_t sample_rate_hz);
[[nodiscard]] at::Tensor console_parts(const at::Tensor& values, std::span<const ConsoleParameter> parameters,
                                       std::int64_t sample_rate_hz);

// The neutral controls of n_tracks: what goes in comes out, centred and delayed by the look-aheads; double.
[[nodiscard]] ConsoleControls neutral_controls(std::int64_t batch, std::int64_t n_tracks, std::int64_t sample_rate_hz);

// By how much Console::mix() is late. Lengths that are this much less than a power of two are filtered at the least
// cost.
inline constexpr std::int64_t kConsoleDelay = kTrackLookahead + kMasterLookahead;

class Console {
 public:
  // Room of the reverb, if there is one: `room_samples` of noise drawn from `room_seed`.
  explicit Console(std::int64_t sample_rate_hz, std::uint64_t room_seed = 0, std::int64_t room_samples = 65536);

  // Mono tracks [B, T, N] after fader, equaliser, compressor and pan -> [B, T, 2, N].
  [[nodiscard]] at::Tensor process_tracks(const at::Tensor& tracks, const at::Tensor& parts) const;
  // Processed tracks [B, T, 2, N] -> the mix [B, 2, N]: sum, reverb, master fader, equaliser, compressor, output.
  // present [B, T] bool: tracks that count; undefined: all.
  [[nodiscard]] at::Tensor mix_processed(const at::Tensor& processed, const ConsoleControls& controls,
                                         const at::Tensor& present = {}) const;
  [[nodiscard]] at::Tensor mix(const at::Tensor& tracks, const ConsoleControls& controls,
                               const at::Tensor& present = {}) const {
    return mix_processed(process_tracks(tracks, controls.tracks), controls, present);
  }

  // The same brought back in time by the look-aheads: [B, 2, N] lines up with the tracks.
  [[nodiscard]] at::Tensor mix_in_time(const at::Tensor& tracks, const ConsoleControls& controls,
                                       const at::Tensor& present = {}) const;

  [[nodiscard]] std::int64_t sample_rate_hz() const { return sample_rate_hz_; }
  // The reverb's noise [2, 12, room_samples], drawn when first asked for.
  [[nodiscard]] const at::Tensor& room_noise() const;

 private:
  std::int64_t sample_rate_hz_, room_samples_;
  std::uint64_t room_seed_;
  mutable at::Tensor noise_;
};

}  // namespace melisma
