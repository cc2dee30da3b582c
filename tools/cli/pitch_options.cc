#include "tools/cli/pitch_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "infer/features/scale.h"

namespace melisma {

void add_pitch_edit_options(CLI::App& app, PitchEdits& edits) {
  app.add_flag("--repair-octaves", edits.repair_octaves, "move stretches back that are an octave off for up to 0.4 s");
  app.add_option("--smooth", edits.smooth_frames,
                 "median over this many frames, an odd number; 3 as RVC's filter radius");
  app.add_option(
      "--proposed-pitch", edits.proposed_hz,
      "move by the semitones that bring the median nearest to this many Hz: 155 for low voices, 255 for high");
  std::string modes;
  for (const auto& mode : kScaleModes) modes += fmt::format("{}{}", modes.empty() ? "" : ", ", mode.name);
  app.add_option(
      "--autotune", edits.autotune,
      fmt::format("pull notes to a scale: chromatic, a tonic and a mode ('C major'; {}) or notes ('C,Eb,G')", modes));
  app.add_option("--strength", edits.autotune_strength, "how far autotune pulls, 0 to 1 (default 1)");
  app.add_flag("--fill", edits.fill, "fill unvoiced gaps with straight lines");
}

}  // namespace melisma
