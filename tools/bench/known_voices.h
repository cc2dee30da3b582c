// Synthetic voices whose pitch is known: what pitch methods are measured on.
#pragma once
#include <string>
#include <vector>

namespace melisma {

struct KnownVoice {
  std::string name;
  std::vector<float> wave;    // mono, 16 kHz
  std::vector<double> f0_hz;  // at samples 0, 160, 320 ...; 0 = unvoiced
};

// Harmonics up to 7.5 kHz under the formants of changing vowels, in phrases with hisses and pauses between them.
//   low speech    90 ... 160 Hz, falling phrases
//   high speech   180 ... 340 Hz
//   creak         55 ... 75 Hz, each period another length (2 %)
//   singing       160 ... 800 Hz, glides and vibrato of 50 cents
//   breathy       high speech behind breath noise 6 dB below it
//   in a room     low speech and its echoes
//   with chords   singing over held chords 10 dB below it
[[nodiscard]] std::vector<KnownVoice> known_voices(double seconds_each);
[[nodiscard]] KnownVoice singing_voice(double seconds);

}  // namespace melisma
