// One self-contained page on which every voice says the same: players, spectrograms, pitch curves.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "data/audio/waveform.h"

namespace melisma {

// A sound of the page.
struct PreviewSound {
  Waveform wave;             // mono
  std::string media_type;    // "audio/flac"
  std::string bytes;         // the file as browsers play it
  std::vector<float> f0_hz;  // 100 frames a second, 0 = unvoiced
};

struct PreviewVoice {
  std::string name;
  std::vector<std::pair<std::string, std::string>> facts;  // "rate", "40000 Hz"
  std::string error;                                       // why it says nothing; empty if it spoke
  PreviewSound sound;
};

struct PreviewPage {
  std::string title;
  std::string phrase_name;
  PreviewSound phrase;
  std::vector<PreviewVoice> voices;
};

// The page: the phrase, a table with a row for every voice, and a figure for each that spoke. No script, no network.
[[nodiscard]] std::string preview_html(const PreviewPage& page);

}  // namespace melisma
