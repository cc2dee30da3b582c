// Pitch of a recording at 100 frames a second: the methods, their settings, and RVC's coarse bins.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/audio/waveform.h"
#include "data/sets/dataset.h"
#include "infer/features/pitch_config.h"

namespace melisma {

inline constexpr std::int64_t kFeatureRateHz = 16000;    // features are made of audio at this rate
inline constexpr std::int64_t kFeatureHopSamples = 160;  // samples of it from frame to frame

// Mono wave at 16 kHz -> f0 in Hz, floor(samples / 160) frames, 0 where unvoiced; frame t is centred on sample 160 t,
// as in the RVC tools. Recordings under 10 ms have no frame. threads 0 = as many as OpenMP gives; members of a
// combination share them and run side by side. The result does not depend on it beyond rounding. Error(config) for a
// range that does not fit, Error(checkpoint) for weights that are missing or not those asked for.
[[nodiscard]] std::vector<float> extract_pitch(std::span<const float> wave_16k, const PitchConfig& config,
                                               int threads = 0);

// The same of a waveform at any rate: channels averaged, resampled to 16 kHz.
[[nodiscard]] std::vector<float> extract_pitch(const Waveform& wave, const PitchConfig& config, int threads = 0);

// Each method as a function; `threads` and errors as above.
using PitchFunction = std::vector<float>(std::span<const float> wave_16k, const PitchConfig& config, int threads);
PitchFunction pitch_by_pyin, pitch_by_yin, pitch_by_harvest, pitch_by_dio, pitch_by_praat;
PitchFunction pitch_by_rmvpe, pitch_by_crepe, pitch_by_crepe_tiny, pitch_by_fcpe;

struct PitchMethod {
  std::string_view name, summary;
  PitchFunction* function;
  bool needs_weights = false;  // a network, whose weights are a file
};
inline constexpr std::array kPitchMethods{
    PitchMethod{"pyin", "probabilistic YIN: candidates of every threshold, decoded by Viterbi; as librosa's",
                &pitch_by_pyin},
    PitchMethod{"yin",
                "YIN: the first deep dip of the difference function, frame by frame; twice as fast, voicing less sure",
                &pitch_by_yin},
    PitchMethod{"harvest",
                "WORLD's Harvest refined by StoneMask, as RVC runs it; misses hardly any voice, but voices breath",
                &pitch_by_harvest},
    PitchMethod{"dio", "WORLD's DIO refined by StoneMask, as RVC runs it; faster, leaves rough voice out",
                &pitch_by_dio},
    PitchMethod{"pm", "Praat's autocorrelation, \"To Pitch (ac)\" with RVC's settings; fast, surest about voicing",
                &pitch_by_praat},
    PitchMethod{"rmvpe", "a network that hears the voice in a mixture; RVC's default", &pitch_by_rmvpe, true},
    PitchMethod{"crepe", "a network that hears 64 ms at a time; accurate, slowest of all", &pitch_by_crepe, true},
    PitchMethod{"crepe-tiny", "the same with a fortieth of the weights; less sure of weak voices", &pitch_by_crepe_tiny,
                true},
    PitchMethod{"fcpe", "a small network of convolutions; fastest of the networks", &pitch_by_fcpe, true},
};

// What the pitch features of this configuration are filed under in a dataset: kind "pitch", canonical JSON.
[[nodiscard]] FeatureKey key_of(const PitchConfig& config);
// It holds the method (a combination in its canonical spelling), the range, and the settings of the methods in use,
// with the SHA-256 of their weights: read from the file where the configuration does not name it. The configuration
// back from a key's canonical JSON; Error(data) if it is none.
[[nodiscard]] PitchConfig pitch_config_of(std::string_view parameters);

// The configuration with weights named as in the pitch features `stored` that equal it otherwise, so that features can
// be used where their weights are not at hand; unchanged if there are none. Error(config) if several differ in their
// weights alone.
[[nodiscard]] PitchConfig pitch_as_stored(const PitchConfig& config, std::span<const FeatureKey> stored);

// RVC's 255 pitch bins: 1127 ln(1 + f0/700), 50 Hz ... 1100 Hz onto 1 ... 255, rounded half to even; 0 Hz gives 1.
[[nodiscard]] std::vector<std::int64_t> coarse_pitch(std::span<const float> f0_hz);
[[nodiscard]] std::int64_t coarse_pitch(double f0_hz);

// The pitch moved by semitones; unvoiced stays unvoiced.
[[nodiscard]] std::vector<float> shift_pitch(std::span<const float> f0_hz, double semitones);

// Unvoiced gaps filled by straight lines between their neighbours, the ends by the nearest voiced value; no voiced
// frame at all: zeros.
[[nodiscard]] std::vector<float> fill_unvoiced(std::span<const float> f0_hz);

struct PitchSummary {
  double voiced_share = 0;                        // of the frames, 0 ... 1
  double median_hz = 0, low_hz = 0, high_hz = 0;  // of the voiced frames; low and high: 5th and 95th percentile
};
[[nodiscard]] PitchSummary summarise_pitch(std::span<const float> f0_hz);

}  // namespace melisma
