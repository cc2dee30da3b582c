#include "data/effects/ladder.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "data/effects/decibels.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

// How much of the input and of each pole's output makes up a mode: products of "low" (y -> y') and "high" (y - y').
struct Mode {
  std::string_view name;
  std::array<double, 5> shares;
};
constexpr std::array kModes{
    Mode{kLadderModes[0], {0, 0, 1, 0, 0}},  Mode{kLadderModes[1], {0, 0, 0, 0, 1}},
    Mode{kLadderModes[2], {1, -2, 1, 0, 0}}, Mode{kLadderModes[3], {1, -4, 6, -4, 1}},
    Mode{kLadderModes[4], {0, 2, -2, 0, 0}}, Mode{kLadderModes[5], {0, 0, 4, -8, 4}},
};

class Ladder final : public InPlaceEffect {
 public:
  Ladder(const LadderSettings& settings, const SignalShape& shape)
      : shares_(find_row(kModes, settings.mode, "ladder mode").shares),
        feedback_(4 * settings.resonance),
        in_gain_(settings.mode.starts_with("low-pass") ? 1 + feedback_ : 1),
        drive_(settings.drive_db == 0 ? 0 : factor_of_db(settings.drive_db)),
        states_(static_cast<std::size_t>(shape.n_channels)) {
    const double warped =
        std::tan(std::numbers::pi * settings.frequency_hz / static_cast<double>(shape.sample_rate_hz));
    part_ = warped / (1 + warped);
    keep_ = 1 / (1 + warped);
  }

 private:
  using State = std::array<double, 4>;

  void change(Waveform& block) override {
    for (std::int64_t c = 0; c < block.n_channels; ++c) {
      auto& state = states_[static_cast<std::size_t>(c)];
      for (float& sample : block.channel(c)) sample = static_cast<float>(next(sample, state));
    }
  }

  [[nodiscard]] double next(double sample, State& state) const {
    // What the last pole gives is part_^4 * in + held: the loop is one linear equation.
    double held = 0;
    for (const double s : state) held = part_ * held + keep_ * s;
    const double whole = part_ * part_ * part_ * part_;
    double in = (in_gain_ * sample - feedback_ * held) / (1 + feedback_ * whole);
    if (drive_ > 0) in = std::tanh(drive_ * in);
    double out = shares_[0] * in;
    for (std::size_t k = 0; k < state.size(); ++k) {
      const double step = part_ * (in - state[k]);
      in = step + state[k];
      state[k] = std::abs(in + step) < 1e-30 ? 0 : in + step;
      out += shares_[k + 1] * in;
    }
    return out;
  }

  std::array<double, 5> shares_;
  double feedback_, in_gain_, drive_, part_ = 0, keep_ = 0;
  std::vector<State> states_;  // one a channel
};

}  // namespace

std::unique_ptr<Effect> make_effect(const LadderSettings& settings, const SignalShape& shape) {
  require_below_nyquist("frequency", settings.frequency_hz, shape);
  return std::make_unique<Ladder>(settings, shape);
}

}  // namespace melisma
