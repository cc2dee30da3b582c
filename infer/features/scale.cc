#include "infer/features/scale.h"

#include <cctype>
#include <cmath>
#include <optional>
#include <string>

#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace scale_detail {
namespace {

constexpr double kA4Hz = 440;
constexpr int kA4 = 69, kOctave = 12;  // as MIDI counts notes

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

// "C" 0, "c#" 1, "Db" 1 ... "B" 11; nothing for what is no note.
std::optional<int> note_named(std::string_view name) {
  constexpr std::array<int, 7> kLetters{9, 11, 0, 2, 4, 5, 7};  // A ... G
  if (name.empty() || name.size() > 2) return std::nullopt;
  const auto letter = std::toupper(static_cast<unsigned char>(name[0]));
  if (letter < 'A' || letter > 'G') return std::nullopt;
  const auto note = kLetters[static_cast<std::size_t>(letter - 'A')];
  if (name.size() == 1) return note;
  if (name[1] == '#') return (note + 1) % kOctave;
  if (name[1] == 'b') return (note + kOctave - 1) % kOctave;
  return std::nullopt;
}

int require_note(std::string_view name, std::string_view whole) {
  if (const auto note = note_named(name)) return *note;
  fail(ErrorKind::usage, "scale '{}': '{}' is no note; notes are written C, C#, Db, D ... B", whole, name);
}

double hz_of(int note) { return kA4Hz * std::exp2(static_cast<double>(note - kA4) / kOctave); }

}  // namespace
}  // namespace scale_detail

Scale parse_scale(std::string_view text) {
  using namespace scale_detail;
  const auto whole = trimmed(text);
  if (whole == "chromatic") return {};
  if (whole.find(',') != std::string_view::npos) {
    Scale scale{.notes = 0};
    for (auto rest = whole; !rest.empty();) {
      const auto comma = rest.find(',');
      scale.notes = static_cast<std::uint16_t>(scale.notes | 1U << require_note(trimmed(rest.substr(0, comma)), whole));
      rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
    return scale;
  }
  const auto split = whole.find_first_of(" -");
  if (split == std::string_view::npos) {
    fail(ErrorKind::usage, "scale '{}' is not known; give chromatic, a tonic and a mode ('C major') or notes ('C,E,G')",
         whole);
  }
  const auto tonic = require_note(whole.substr(0, split), whole);
  const auto& mode = find_row(kScaleModes, trimmed(whole.substr(split + 1)), "mode of a scale", ErrorKind::usage);
  const unsigned twice = mode.notes | static_cast<unsigned>(mode.notes) << kOctave;
  return {.notes = static_cast<std::uint16_t>((twice << tonic >> kOctave) & 0xfffU)};
}

double nearest_note_hz(double hz, const Scale& scale) {
  using namespace scale_detail;
  const auto below = static_cast<int>(std::floor(kA4 + kOctave * std::log2(hz / kA4Hz)));
  double nearest = 0;
  for (auto note = below - kOctave + 1; note <= below + kOctave; ++note) {
    const auto pitch_class = static_cast<unsigned>((note % kOctave + kOctave) % kOctave);
    if ((scale.notes >> pitch_class & 1U) == 0) continue;
    if (nearest == 0 || std::abs(hz_of(note) - hz) < std::abs(nearest - hz)) nearest = hz_of(note);
  }
  return nearest;
}

}  // namespace melisma
