// Musical scales: which notes are sung, and the nearest of them. Equal temperament, A4 = 440 Hz. Torch-free.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace melisma {

struct ScaleMode {
  std::string_view name, steps;  // semitones above the tonic
  std::uint16_t notes;           // the same as bits: bit 0 is the tonic
};

namespace scale_detail {
consteval ScaleMode mode(std::string_view name, std::string_view steps) {
  std::uint16_t notes = 0;
  int step = 0;
  for (const char c : steps) {
    if (c == ' ') {
      notes = static_cast<std::uint16_t>(notes | (1U << step)), step = 0;
    } else {
      step = 10 * step + (c - '0');
    }
  }
  return {name, steps, static_cast<std::uint16_t>(notes | (1U << step))};
}
}  // namespace scale_detail

inline constexpr std::array kScaleModes{
    scale_detail::mode("major", "0 2 4 5 7 9 11"),          scale_detail::mode("minor", "0 2 3 5 7 8 10"),
    scale_detail::mode("harmonic-minor", "0 2 3 5 7 8 11"), scale_detail::mode("melodic-minor", "0 2 3 5 7 9 11"),
    scale_detail::mode("dorian", "0 2 3 5 7 9 10"),         scale_detail::mode("phrygian", "0 1 3 5 7 8 10"),
    scale_detail::mode("lydian", "0 2 4 6 7 9 11"),         scale_detail::mode("mixolydian", "0 2 4 5 7 9 10"),
    scale_detail::mode("locrian", "0 1 3 5 6 8 10"),        scale_detail::mode("pentatonic", "0 2 4 7 9"),
    scale_detail::mode("minor-pentatonic", "0 3 5 7 10"),   scale_detail::mode("blues", "0 3 5 6 7 10"),
    scale_detail::mode("whole-tone", "0 2 4 6 8 10"),
};

// Twelve bits: bit 0 is C, bit 11 is B.
struct Scale {
  std::uint16_t notes = 0xfff;
  bool operator==(const Scale&) const = default;
};

// "chromatic", a tonic and a mode ("C major", "eb dorian", "F#-minor-pentatonic"), or the notes themselves ("C,Eb,G").
// Throws Error(usage) with what is known.
[[nodiscard]] Scale parse_scale(std::string_view text);

// The note of the scale whose frequency is nearest to hz > 0.
[[nodiscard]] double nearest_note_hz(double hz, const Scale& scale);

}  // namespace melisma
