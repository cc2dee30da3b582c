// Pitch of a recording at 100 frames a second: the methods, their settings, and RVC's coarse bins.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "data/audio/waveform.h"
#include "data/sets/dataset.h"
#include "tools/config/fields.h"

namespace melisma {

inline constexpr std::int64_t kFeatureRateHz = 16000;    // features are made of audio at this rate
inline constexpr std::int64_t kFeatureHopSamples = 160;  // samples of it from frame to frame

// Names of kPitchMethods below.
inline constexpr std::array<std::string_view, 5> kPitchMethodNames{"pyin", "yin", "harvest", "dio", "pm"};

struct PitchConfig {
  std::string method = "pyin";
  double fmin_hz = 50;
  double fmax_hz = 1100;
  static constexpr auto fields() {
    return std::tuple{
        field("method", &PitchConfig::method, "how pitch is found").choices(kPitchMethodNames),
        field("fmin_hz", &PitchConfig::fmin_hz, "lowest pitch looked for").unit("Hz").range(20, 1000),
        field("fmax_hz", &PitchConfig::fmax_hz, "highest pitch looked for").unit("Hz").range(50, 4000),
    };
  }
  bool operator==(const PitchConfig&) const = default;
};

// Mono wave at 16 kHz -> f0 in Hz, floor(samples / 160) frames, 0 where unvoiced; frame t is centred on sample 160 t,
// as in the RVC tools. Recordings under 10 ms have no frame. threads 0 = as many as OpenMP gives; the result does not
// depend on it. Error(config) for a range that does not fit.
[[nodiscard]] std::vector<float> extract_pitch(std::span<const float> wave_16k, const PitchConfig& config,
                                               int threads = 0);

// The same of a waveform at any rate: channels averaged, resampled to 16 kHz.
[[nodiscard]] std::vector<float> extract_pitch(const Waveform& wave, const PitchConfig& config, int threads = 0);

[[nodiscard]] std::vector<float> pitch_by_pyin(std::span<const float> wave_16k, const PitchConfig& config, int threads);
[[nodiscard]] std::vector<float> pitch_by_yin(std::span<const float> wave_16k, const PitchConfig& config, int threads);
[[nodiscard]] std::vector<float> pitch_by_harvest(std::span<const float> wave_16k, const PitchConfig& config,
                                                  int threads);
[[nodiscard]] std::vector<float> pitch_by_dio(std::span<const float> wave_16k, const PitchConfig& config, int threads);
[[nodiscard]] std::vector<float> pitch_by_praat(std::span<const float> wave_16k, const PitchConfig& config,
                                                int threads);

struct PitchMethod {
  std::string_view name, summary;
  std::vector<float> (*function)(std::span<const float> wave_16k, const PitchConfig& config, int threads);
};
inline constexpr std::array<PitchMethod, 5> kPitchMethods{{
    {"pyin", "probabilistic YIN: candidates of every threshold, decoded by Viterbi; as librosa's", &pitch_by_pyin},
    {"yin", "YIN: the first deep dip of the difference function, frame by frame; twice as fast, voicing less sure",
     &pitch_by_yin},
    {"harvest", "WORLD's Harvest refined by StoneMask, as RVC runs it; follows weak voice, slowest of these",
     &pitch_by_harvest},
    {"dio", "WORLD's DIO refined by StoneMask, as RVC runs it; fast, gives up early on rough voice", &pitch_by_dio},
    {"pm", "Praat's autocorrelation, \"To Pitch (ac)\" with RVC's settings; fastest", &pitch_by_praat},
}};

// What the pitch features of this configuration are filed under in a dataset: kind "pitch", canonical JSON.
[[nodiscard]] FeatureKey key_of(const PitchConfig& config);
// The configuration back from a key's canonical JSON; Error(data) if it is none.
[[nodiscard]] PitchConfig pitch_config_of(std::string_view parameters);

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
