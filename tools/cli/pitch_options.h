// Options of every command that edits a pitch curve.
#pragma once
#include "infer/features/pitch_edit.h"

namespace CLI {
class App;
}

namespace melisma {

// --proposed-pitch, --repair-octaves, --smooth, --autotune, --strength, --fill into `edits`, which outlives the
// parsing; each command names its transposition itself.
void add_pitch_edit_options(CLI::App& app, PitchEdits& edits);

}  // namespace melisma
