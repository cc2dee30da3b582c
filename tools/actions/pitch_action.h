// `melisma pitch`: the pitch curve of a recording or of a file, edited, summed up and written.
#pragma once
#include <filesystem>

#include "infer/features/pitch.h"
#include "infer/features/pitch_edit.h"

namespace melisma {

struct PitchActionOptions {
  std::filesystem::path input;   // a recording, a pitch curve (.csv), or a folder of recordings
  std::filesystem::path output;  // the curve to write, or a folder when the input is one; empty = only the summary
  PitchConfig config;
  PitchEdits edits;
  double high_pass_hz = 48;  // as convert hears the recording; 0 = off
  bool json = false;
};

// Exit code 0 if every file was read, 3 if any failed (the others are there).
int pitch(const PitchActionOptions& options);

}  // namespace melisma
