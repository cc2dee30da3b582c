// `melisma convert`: a recording, or a folder of them, in another voice.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "infer/features/pitch_edit.h"

namespace melisma {

struct ConvertActionOptions {
  std::filesystem::path workspace;
  std::string model;             // model file, run, or checkpoint folder
  std::filesystem::path input;   // a file, or a folder whose audio files are all converted
  std::filesystem::path output;  // a file, or a folder when input is one
  PitchEdits pitch;
  std::filesystem::path curves;  // pitch curve of the recording, or folder of curves; empty = heard in the recording
  std::vector<std::string> pitch_settings;  // how pitch is heard, over the voice's own: "method=rmvpe", "fmax_hz=800"
  std::string speaker;                      // name or row, or several with weights (a:0.7,b:0.3); empty = the first
  std::int64_t sample_rate_hz = 0;
  std::string format;  // empty = by extension; for folders empty = wav16
  std::uint64_t noise_seed = 0;
  double noise_scale = 0.66666;
  double high_pass_hz = 48;  // 0 = off
  double clean = 0;          // share of the recording's steady noise that goes
  bool split_at_silence = false;
  double formant_ratio = 1;
  double volume_envelope = 1;
  double mix = 1;
  std::filesystem::path effects;  // a chain (data/effects/effects.h); empty = none
  bool match_loudness = false;
  std::int64_t chunk_seconds = 6;
  std::filesystem::path index;  // of the voice; empty = none
  double index_rate = 0.3;
  double protect = 0.33;
  std::string content_weights;  // of the content encoder; empty = looked for in the folder of weights
  std::string device = "auto";  // several: the recordings of a folder are shared out among them
  bool json = false;
};

// Exit code 0 if every file was converted, 3 if any failed (the others are there).
int convert(const ConvertActionOptions& options);

}  // namespace melisma
