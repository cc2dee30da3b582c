#include "data/effects/equalizer.h"

#include <array>
#include <vector>

#include "data/effects/biquad.h"

namespace melisma {
namespace {

class Filter final : public InPlaceEffect {
 public:
  Filter(Sections sections, const SignalShape& shape)
      : sections_(std::move(sections)), states_(static_cast<std::size_t>(shape.n_channels)) {}

 private:
  void change(Waveform& block) override {
    for (std::int64_t c = 0; c < block.n_channels; ++c) {
      filter_sections(sections_, block.channel(c), states_[static_cast<std::size_t>(c)]);
    }
  }

  Sections sections_;
  std::vector<SectionState> states_;  // one a channel
};

std::unique_ptr<Effect> pass_filter(const PassSettings& settings, FilterKind kind, const SignalShape& shape) {
  require_below_nyquist("corner", settings.frequency_hz, shape);
  return std::make_unique<Filter>(butterworth_sections(settings.order, kind, std::array{settings.frequency_hz},
                                                       static_cast<double>(shape.sample_rate_hz)),
                                  shape);
}

template <class Settings>
std::unique_ptr<Effect> bell_or_shelf(Section (*design)(double, double, double, double), const Settings& settings,
                                      const SignalShape& shape) {
  require_below_nyquist("frequency", settings.frequency_hz, shape);
  const double rate_hz = static_cast<double>(shape.sample_rate_hz);
  return std::make_unique<Filter>(Sections{design(settings.frequency_hz, settings.q, settings.gain_db, rate_hz)},
                                  shape);
}

}  // namespace

std::unique_ptr<Effect> make_effect(const PeakSettings& settings, const SignalShape& shape) {
  return bell_or_shelf(peak_section, settings, shape);
}

std::unique_ptr<Effect> make_effect(const LowShelfSettings& settings, const SignalShape& shape) {
  return bell_or_shelf(low_shelf_section, settings, shape);
}

std::unique_ptr<Effect> make_effect(const HighShelfSettings& settings, const SignalShape& shape) {
  return bell_or_shelf(high_shelf_section, settings, shape);
}

std::unique_ptr<Effect> make_effect(const HighPassSettings& settings, const SignalShape& shape) {
  return pass_filter(settings, FilterKind::high, shape);
}

std::unique_ptr<Effect> make_effect(const LowPassSettings& settings, const SignalShape& shape) {
  return pass_filter(settings, FilterKind::low, shape);
}

}  // namespace melisma
