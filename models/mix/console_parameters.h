// The parameters of the mixing console by name: units, ranges, neutral values. Torch-free. Ranges are those of
// Diff-MST.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace melisma {

// A parameter is trained and predicted as a number from 0 to 1 that goes linearly from low to high.
struct ConsoleParameter {
  std::string_view name, unit;
  double low, high;  // kBelowNyquist: 1 kHz below half the sample rate
  double neutral;    // changes nothing, or nothing while the band's gain is 0 dB
  std::string_view help;

  static constexpr double kBelowNyquist = -1;
  [[nodiscard]] constexpr double high_at(std::int64_t sample_rate_hz) const {
    return high == kBelowNyquist ? static_cast<double>(sample_rate_hz / 2 - 1000) : high;
  }
  // From 0 ... 1 to the parameter's unit and back.
  [[nodiscard]] constexpr double value_of(double part, std::int64_t sample_rate_hz) const {
    return low + part * (high_at(sample_rate_hz) - low);
  }
  [[nodiscard]] constexpr double part_of(double value, std::int64_t sample_rate_hz) const {
    return (value - low) / (high_at(sample_rate_hz) - low);
  }
};

namespace console_parameters {

inline constexpr std::array<ConsoleParameter, 18> kEqualizer{{
    {"low_shelf_gain_db", "dB", -12, 12, 0, "gain of the low shelf"},
    {"low_shelf_hz", "Hz", 20, 2000, 120, "corner of the low shelf"},
    {"low_shelf_q", "", .1, 5, .7071, "steepness of the low shelf"},
    {"band1_gain_db", "dB", -12, 12, 0, "gain of band 1"},
    {"band1_hz", "Hz", 80, 2000, 400, "centre of band 1"},
    {"band1_q", "", .1, 5, .7071, "narrowness of band 1"},
    {"band2_gain_db", "dB", -12, 12, 0, "gain of band 2"},
    {"band2_hz", "Hz", 2000, 8000, 4000, "centre of band 2"},
    {"band2_q", "", .1, 5, .7071, "narrowness of band 2"},
    {"band3_gain_db", "dB", -12, 12, 0, "gain of band 3"},
    {"band3_hz", "Hz", 8000, 12000, 10000, "centre of band 3"},
    {"band3_q", "", .1, 5, .7071, "narrowness of band 3"},
    {"band4_gain_db", "dB", -12, 12, 0, "gain of band 4"},
    {"band4_hz", "Hz", 12000, ConsoleParameter::kBelowNyquist, 14000, "centre of band 4"},
    {"band4_q", "", .1, 5, .7071, "narrowness of band 4"},
    {"high_shelf_gain_db", "dB", -12, 12, 0, "gain of the high shelf"},
    {"high_shelf_hz", "Hz", 6000, ConsoleParameter::kBelowNyquist, 9000, "corner of the high shelf"},
    {"high_shelf_q", "", .1, 5, .7071, "steepness of the high shelf"},
}};

inline constexpr std::array<ConsoleParameter, 6> kCompressor{{
    {"threshold_db", "dB", -60, 0, 0, "level above which the compressor acts"},
    {"ratio", "", 1, 10, 1, "dB in for one dB out above the threshold"},
    {"attack_ms", "ms", 5, 250, 50, "how fast its gain follows, down and up"},
    {"release_ms", "ms", 10, 250, 50, "kept for exchange: attack_ms serves both ways"},
    {"knee_db", "dB", 3, 12, 6, "width of the bend around the threshold"},
    {"makeup_db", "dB", 0, 6, 0, "gain after the compressor"},
}};

template <std::size_t... Sizes>
constexpr auto joined(const std::array<ConsoleParameter, Sizes>&... parts) {
  std::array<ConsoleParameter, (Sizes + ...)> all{};
  std::size_t next = 0;
  const auto append = [&](const auto& part) {
    for (const auto& parameter : part) all[next++] = parameter;
  };
  (append(parts), ...);
  return all;
}

}  // namespace console_parameters

// Of each track, in the order of the columns of a [..., tracks, 27] tensor.
inline constexpr auto kTrackParameters = console_parameters::joined(
    std::array<ConsoleParameter, 1>{{{"fader_db", "dB", -48, 48, 0, "level before the effects"}}},
    console_parameters::kEqualizer, console_parameters::kCompressor,
    std::array<ConsoleParameter, 2>{{{"pan", "", 0, 1, .5, "0 left, 0.5 centre, 1 right"},
                                     {"send_db", "dB", -80, 12, -80, "level of what goes to the reverb"}}});

// Of the master bus, [..., 26].
inline constexpr auto kMasterParameters = console_parameters::joined(
    console_parameters::kEqualizer, console_parameters::kCompressor,
    std::array<ConsoleParameter, 2>{{{"output_db", "dB", -48, 48, 0, "level after the effects"},
                                     {"fader_db", "dB", -48, 48, 0, "level before the effects"}}});

// Of the reverb, [..., 24]: levels of its twelve octaves from the lowest, then how fast each falls.
inline constexpr std::array<ConsoleParameter, 24> kReverbParameters{{
    {"level1", "", 0, 1, .5, "level below 20 Hz"},
    {"level2", "", 0, 1, .5, "level at 31 Hz"},
    {"level3", "", 0, 1, .5, "level at 63 Hz"},
    {"level4", "", 0, 1, .5, "level at 125 Hz"},
    {"level5", "", 0, 1, .5, "level at 250 Hz"},
    {"level6", "", 0, 1, .5, "level at 500 Hz"},
    {"level7", "", 0, 1, .5, "level at 1 kHz"},
    {"level8", "", 0, 1, .5, "level at 2 kHz"},
    {"level9", "", 0, 1, .5, "level at 4 kHz"},
    {"level10", "", 0, 1, .5, "level at 8 kHz"},
    {"level11", "", 0, 1, .5, "level at 16 kHz"},
    {"level12", "", 0, 1, .5, "level above 18 kHz"},
    {"decay1", "", 0, 1, .5, "how fast it falls, 20 Hz"},
    {"decay2", "", 0, 1, .5, "how fast it falls, 31 Hz"},
    {"decay3", "", 0, 1, .5, "how fast it falls, 63 Hz"},
    {"decay4", "", 0, 1, .5, "how fast it falls, 125 Hz"},
    {"decay5", "", 0, 1, .5, "how fast it falls, 250 Hz"},
    {"decay6", "", 0, 1, .5, "how fast it falls, 500 Hz"},
    {"decay7", "", 0, 1, .5, "how fast it falls, 1 kHz"},
    {"decay8", "", 0, 1, .5, "how fast it falls, 2 kHz"},
    {"decay9", "", 0, 1, .5, "how fast it falls, 4 kHz"},
    {"decay10", "", 0, 1, .5, "how fast it falls, 8 kHz"},
    {"decay11", "", 0, 1, .5, "how fast it falls, 16 kHz"},
    {"decay12", "", 0, 1, .5, "how fast it falls, 18 kHz"},
}};

// Columns of a track: fader, equaliser, compressor, pan, send; of the master: equaliser, compressor, output, fader.
inline constexpr std::int64_t kTrackEqualizer = 1, kTrackCompressor = 19, kTrackPan = 25, kTrackSend = 26;
inline constexpr std::int64_t kMasterEqualizer = 0, kMasterCompressor = 18, kMasterOutput = 24, kMasterFader = 25;

// Samples by which the compressors' gain comes before its cause.
inline constexpr std::int64_t kTrackLookahead = 2048, kMasterLookahead = 1024;

}  // namespace melisma
