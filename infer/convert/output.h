// From a voice's samples to a file: everything that is done to the sound of a conversion after the network.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "data/audio/audio_writer.h"
#include "data/audio/resample.h"
#include "data/effects/effects.h"
#include "infer/convert/source_audio.h"
#include "infer/convert/volume_envelope.h"

namespace melisma {

// What is done, in this order.
struct OutputOptions {
  double formant_ratio = 1;                    // formants moved, pitch not; 1 = off
  double volume_envelope = 1;                  // share of the voice's own; 1 = off (volume_envelope.h)
  double mix = 1;                              // share of the voice, the rest is the recording; 1 = off
  std::shared_ptr<const EffectChain> effects;  // null = none
  bool match_loudness = false;                 // as loud as the recording in the end (BS.1770, integrated)
};

// What matching loudness did.
struct LoudnessMatch {
  double input_lufs = 0, gain_db = 0;  // gain 0 where either is too quiet or too short for a loudness
  bool is_measurable = true;
};

// Takes samples at the voice's rate, writes exactly as many frames as the recording has, at the output's rate. A
// stream, but for matching loudness, which writes a first copy to the same disk (32-bit floats in a file without a
// name) and reads it again.
class ConversionOutput {
 public:
  struct Place {
    std::filesystem::path recording;  // the dry signal of the mix, the loudness to match
    std::filesystem::path file;       // written under exactly this name
    std::int64_t voice_rate_hz = 0, rate_hz = 0;
    const AudioFormat& format;
  };
  ConversionOutput(const Place& place, const SourceAudio& source, const OutputOptions& options);
  ~ConversionOutput();
  ConversionOutput(const ConversionOutput&) = delete;
  ConversionOutput& operator=(const ConversionOutput&) = delete;

  void push(std::span<const float> samples);
  // Silence up to the recording's length, if samples are missing, and whatever is held back.
  void finish();

  [[nodiscard]] double peak() const { return peak_; }  // before clipping at full scale
  [[nodiscard]] const std::optional<LoudnessMatch>& loudness() const { return loudness_; }

 private:
  class Dry;
  class Loud;
  void shape(Waveform samples);  // at the voice's rate, formants moved
  void resample_and_mix(std::span<const float> samples);
  void mix(std::vector<float> samples);  // at the output's rate
  void write(Waveform block);

  Place place_;
  std::int64_t n_left_;
  double mix_share_, peak_ = 0;
  std::unique_ptr<Effect> formants_;
  std::optional<VolumeEnvelope> envelope_;
  StreamResampler resampler_;
  std::unique_ptr<Dry> dry_;
  std::unique_ptr<Effect> effects_;
  std::unique_ptr<Loud> loud_;
  std::optional<AudioWriter> writer_;
  std::optional<LoudnessMatch> loudness_;
};

}  // namespace melisma
