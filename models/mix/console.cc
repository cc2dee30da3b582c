#include "models/mix/console.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <vector>

#include "models/mix/effects.h"
#include "models/mix/reverb.h"
#include "tools/base/error.h"

namespace melisma {
namespace mix_console {
namespace {

struct Range {
  at::Tensor low, width;  // [n]
};

Range range_of(const at::Tensor& like, std::span<const ConsoleParameter> parameters, std::int64_t sample_rate_hz) {
  if (like.size(-1) != static_cast<std::int64_t>(parameters.size())) {
    fail(ErrorKind::internal, "console: expected {} parameters, found {}", parameters.size(), like.size(-1));
  }
  std::vector<double> low, width;
  for (const auto& parameter : parameters) {
    low.push_back(parameter.low);
    width.push_back(parameter.high_at(sample_rate_hz) - parameter.low);
  }
  return {at::tensor(low, like.options()), at::tensor(width, like.options())};
}

at::Tensor neutral_parts(std::span<const ConsoleParameter> parameters, std::int64_t sample_rate_hz) {
  std::vector<double> parts;
  for (const auto& parameter : parameters) parts.push_back(parameter.part_of(parameter.neutral, sample_rate_hz));
  return at::tensor(parts, at::kDouble);
}

constexpr std::int64_t kHalfOfReverb = kReverbParameters.size() / 2;
static_assert(kHalfOfReverb == kReverbBands);

}  // namespace
}  // namespace mix_console

at::Tensor console_values(const at::Tensor& parts, std::span<const ConsoleParameter> parameters,
                          std::int64_t sample_rate_hz) {
  const auto range = mix_console::range_of(parts, parameters, sample_rate_hz);
  return parts * range.width + range.low;
}

at::Tensor console_parts(const at::Tensor& values, std::span<const ConsoleParameter> parameters,
                         std::int64_t sample_rate_hz) {
  const auto range = mix_console::range_of(values, parameters, sample_rate_hz);
  return (values - range.low) / range.width;
}

ConsoleControls neutral_controls(std::int64_t batch, std::int64_t n_tracks, std::int64_t sample_rate_hz) {
  using mix_console::neutral_parts;
  return {neutral_parts(kTrackParameters, sample_rate_hz).repeat({batch, n_tracks, 1}),
          neutral_parts(kMasterParameters, sample_rate_hz).repeat({batch, 1}),
          {}};
}

Console::Console(std::int64_t sample_rate_hz, std::uint64_t room_seed, std::int64_t room_samples)
    : sample_rate_hz_(sample_rate_hz), room_samples_(room_samples), room_seed_(room_seed) {
  constexpr std::int64_t kLeastRateHz = 32000;  // the highest band of the equaliser begins at 12 kHz
  if (sample_rate_hz < kLeastRateHz) {
    fail(ErrorKind::config, "the mixing console needs a sample rate of at least {} Hz, not {} Hz", kLeastRateHz,
         sample_rate_hz);
  }
}

const at::Tensor& Console::room_noise() const {
  if (!noise_.defined()) {
    noise_ = reverb_noise(room_seed_, room_samples_, static_cast<double>(sample_rate_hz_));
  }
  return noise_;
}

at::Tensor Console::process_tracks(const at::Tensor& tracks, const at::Tensor& parts) const {
  const auto rate = static_cast<double>(sample_rate_hz_);
  const auto values = console_values(parts, kTrackParameters, sample_rate_hz_);  // [B, T, 27]
  auto x = fade(tracks, values.select(-1, 0));
  x = equalize(x, values.narrow(-1, kTrackEqualizer, 18), rate);
  x = compress(x.unsqueeze(-2), values.narrow(-1, kTrackCompressor, 6), rate, kTrackLookahead).squeeze(-2);
  return pan_to_stereo(x, values.select(-1, kTrackPan));
}

at::Tensor Console::mix_processed(const at::Tensor& processed, const ConsoleControls& controls,
                                  const at::Tensor& present) const {
  const auto rate = static_cast<double>(sample_rate_hz_);
  const auto counted =
      present.defined() ? at::where(present.unsqueeze(-1).unsqueeze(-1), processed, at::zeros({}, processed.options()))
                        : processed;
  auto bus = counted.sum(-3);
  if (controls.reverb.defined()) {
    const auto values = console_values(controls.tracks, kTrackParameters, sample_rate_hz_);
    const auto sent = sum_to_bus(counted, values.select(-1, kTrackSend));
    using mix_console::kHalfOfReverb;
    const auto room = room_response(room_noise().to(sent.device()), controls.reverb.narrow(-1, 0, kHalfOfReverb),
                                    controls.reverb.narrow(-1, kHalfOfReverb, kHalfOfReverb));
    bus = bus + in_room(sent, room);
  }
  const auto values = console_values(controls.master, kMasterParameters, sample_rate_hz_);  // [B, 26]
  bus = fade(bus, values.narrow(-1, kMasterFader, 1));
  bus = equalize(bus, values.narrow(-1, kMasterEqualizer, 18).unsqueeze(-2), rate);
  bus = compress(bus, values.narrow(-1, kMasterCompressor, 6), rate, kMasterLookahead);
  return fade(bus, values.narrow(-1, kMasterOutput, 1));
}

at::Tensor Console::mix_in_time(const at::Tensor& tracks, const ConsoleControls& controls,
                                const at::Tensor& present) const {
  return mix(at::constant_pad_nd(tracks, {0, kConsoleDelay}), controls, present)
      .narrow(-1, kConsoleDelay, tracks.size(-1));
}

}  // namespace melisma
