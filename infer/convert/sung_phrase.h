// A short sung phrase made from nothing, to hear voices by where no recording is at hand.
#pragma once
#include "data/audio/waveform.h"

namespace melisma {

struct SungPhraseConfig {
  std::int64_t sample_rate_hz = 32000;
  double lowest_note_hz = 174.61;  // F3; the melody spans a seventh upwards
};

// Six syllables on six notes, 4.5 s, mono: the vowels a, e, i, o, u, a through a vocal tract of four resonances
// (bandwidths and mean formants of Peterson & Barney 1952, women), gliding pitch with vibrato, two of them after an
// "s". The same samples for the same settings.
[[nodiscard]] Waveform sung_phrase(const SungPhraseConfig& config = {});

}  // namespace melisma
