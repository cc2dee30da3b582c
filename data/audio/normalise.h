// The level RVC's preparation gives recordings or slices.
#pragma once
#include <array>
#include <span>
#include <string_view>

namespace melisma {

struct NormaliseMode {
  std::string_view name;
  std::string_view summary;
};
inline constexpr std::array kNormaliseModes{
    NormaliseMode{"none", "levels stay as they are"},
    NormaliseMode{"pre", "each recording before it is cut"},
    NormaliseMode{"post", "each slice after it is cut"},
};
inline constexpr std::array kNormaliseModeNames{std::string_view("none"), std::string_view("pre"),
                                                std::string_view("post")};

enum class Normalised {
  done,
  silent,      // all samples are zero: left as they are
  too_loud,    // a peak above 2.5: no audio in [-1, 1] any more; left as they are
  non_finite,  // a NaN or an infinity: left as they are
};

// The largest absolute value; NaN if any sample is not finite.
[[nodiscard]] double peak_of(std::span<const float> samples);
[[nodiscard]] double peak_of(std::span<const double> samples);

// x / peak * 0.675 + 0.25 x in place, computed in double (Applio and RVC-WebUI: 0.9 * 0.75 of the normalised, 0.25 of
// the original).
[[nodiscard]] Normalised normalise_level(std::span<float> samples);
[[nodiscard]] Normalised normalise_level(std::span<double> samples);
// The same with the peak of a longer signal of which `samples` are a block ("pre" in bounded memory).
[[nodiscard]] Normalised normalise_level(std::span<float> samples, double peak);

}  // namespace melisma
