// The parameter sheet of a mix: every fader, band and knob by name, in its unit. Torch-free.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "models/mix/console_parameters.h"

namespace melisma {

// How many console channels a stem has, in the order they are mixed: a stereo stem is two, "keys.left", "keys.right".
struct SheetTrack {
  std::string name;
  std::vector<double> values;  // of kTrackParameters
};

struct MixSheet {
  std::int64_t sample_rate_hz = 44100;
  bool is_constant_power = false;  // pan law: cos and sin, otherwise the compromise of dasp
  std::vector<SheetTrack> tracks;
  std::vector<double> master;  // of kMasterParameters
  std::vector<double> reverb;  // of kReverbParameters; empty: no reverb
};

// Everything neutral.
[[nodiscard]] MixSheet neutral_sheet(const std::vector<std::string>& names, std::int64_t sample_rate_hz);

// "vocals.fader_db=-3" sets a parameter, "vocals.fader_db+=2" adds to it. The track is a channel, a stem (both of its
// channels), "all", "master" or "reverb". Error(usage) with did-you-mean for names, with the range for numbers out of
// it.
void change_sheet(MixSheet& sheet, std::string_view change);

[[nodiscard]] nlohmann::ordered_json sheet_json(const MixSheet& sheet);
// What differs from neutral, for people: a column a track and the master, a line a parameter, its unit in its name.
[[nodiscard]] std::string sheet_text(const MixSheet& sheet);

}  // namespace melisma
