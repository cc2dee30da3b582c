// Converting a recording, however long, into a voice: file in, file out, bounded memory.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "infer/convert/output.h"
#include "infer/convert/retrieval.h"
#include "infer/convert/voice.h"
#include "infer/features/pitch_curve.h"
#include "infer/features/pitch_edit.h"

namespace melisma {

struct ConvertOptions {
  PitchEdits pitch;                    // what is done to the recording's pitch
  std::optional<PitchCurve> curve;     // instead of the pitch heard in the recording
  std::optional<PitchConfig> hearing;  // how pitch is heard; nothing = as for the voice's training
  SpeakerMix speakers{{0, 1}};         // rows of the voice's speakers
  std::int64_t sample_rate_hz = 0;     // of the output; 0 = the voice's own
  std::string format;                  // a name of kAudioFormats; empty = by the output's extension
  double high_pass_hz = 48;            // rumble of the recording below this is left out; 0 = nothing is
  double clean = 0;                    // steady noise of the recording left out: 1 = all, 0 = none (noise_reduction.h)
  bool split_at_silence = false;       // only what is louder is converted; in between it is silent
  Retrieval retrieval;                 // from the voice's feature index
  std::string content_weights;         // of the content encoder; empty = those of its SHA-256 in the folder of weights
  SynthesisOptions synthesis;
  OutputOptions output;
};

// What became of one recording.
struct Conversion {
  double seconds = 0;                     // length of input and output
  double elapsed_seconds = 0;             // wall time it took
  double voiced_share = 0;                // of the input's frames, 0 ... 1
  double median_f0_hz = 0;                // of the voiced frames, before the pitch was edited
  double semitones = 0;                   // the pitch was transposed by, as asked and as proposed
  std::int64_t pieces = 1;                // converted by themselves: more than one if split at silence
  double peak = 0;                        // of the output, before clipping at full scale
  std::optional<LoudnessMatch> loudness;  // if it was matched
  std::string remark;                     // what a listener should know; empty if nothing
};

// Converts `input` (any format and rate; channels are averaged) and writes `output` atomically: mono, exactly as long
// as the input. The features are those of the recording at 16 kHz behind a high-pass (source_audio.h), the pitch those
// or the curve's, which must be as long as the recording (pitch_curve.h). Split at silence as the RVC tools'
// preparation does it (SilenceSlicer, its defaults), each piece is heard and spoken by itself, faded over 10 ms at its
// ends, at its place: between the pieces the voice is exactly silent. A recording without any voiced frame is converted
// as breath and noise, one without a sample above one step of 16 bits as silence, each with a remark. The input is held
// at 16 kHz (64 kB a second), everything after the features in chunks. `progress` gets fractions in 0
// ... 1. Throws Error(data) for input that cannot be used, Error(device) if the output cannot be written.
Conversion convert_file(const Voice& voice, const std::filesystem::path& input, const std::filesystem::path& output,
                        const ConvertOptions& options, const std::function<void(double)>& progress = {});

}  // namespace melisma
