// Presets: what matching knows of a reference, as a file of its own.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "infer/match/match.h"

namespace melisma {

struct MatchPreset {
  std::string name;      // of the recording it was made from
  MatchProfile profile;  // with its loudness
  MatchConfig analysis;  // the settings it was made with; those of a result's end do not count
};

// A .safetensors file: mean spectra of the loud pieces (mid, side) and levels of all pieces at full level, quantiles of
// loudness, and in its header rate, sizes, loudness and settings. Atomic. Throws Error(device) if the disk refuses.
void write_preset(const std::filesystem::path& path, const MatchPreset& preset);

// Throws Error(checkpoint) naming the file for anything that is no preset, damaged, of a later version, or whose parts
// do not fit each other.
[[nodiscard]] MatchPreset read_preset(const std::filesystem::path& path);

// A preset that matchering_webapp pickled: the loud pieces themselves. It tells no rate: `config` has the one it was
// made at. Read as data by a list of allowed names; nothing in it is executed. Throws Error(checkpoint) naming the file
// and what is missing, refused or does not fit.
[[nodiscard]] MatchPreset import_pickled_preset(const std::filesystem::path& path, const MatchConfig& config);

// Throws Error(config) if mode exact would not have analysed the reference that way: another rate, spectrum, length of
// pieces or threshold.
void require_same_analysis(const MatchPreset& preset, const MatchConfig& config);

// The share of a profile's power in a third octave, in dB; mid and side together.
struct BandShare {
  double centre_hz = 0, share_db = 0;
};
// Bands from 25 Hz to half the rate; one that holds no bin has its part of the nearest.
[[nodiscard]] std::vector<BandShare> band_shares(const MatchProfile& profile);

// Presets side by side as text: rate, loudness, RMS, peak, and third octaves with a bar of what the first has, or of
// what each has beyond the first.
[[nodiscard]] std::string preset_table(const std::vector<MatchPreset>& presets);

}  // namespace melisma
