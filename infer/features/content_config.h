// The settings of content features: a method, the weights of those that are networks, and a table of each method's own.
// Torch-free.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "tools/config/fields.h"

namespace melisma {

// Names of kContentMethods in content.h.
inline constexpr std::array<std::string_view, 2> kContentMethodNames{"cepstral", "hubert"};

struct CepstralSettings {
  std::int64_t bands = 40;
  std::int64_t coefficients = 16;
  std::int64_t delta_frames = 9;
  bool tract_normalisation = true;
  static constexpr auto fields() {
    using C = CepstralSettings;
    return std::tuple{
        field("bands", &C::bands, "mel bands below the cepstrum").range(16, 128),
        field("coefficients", &C::coefficients,
              "cepstral coefficients kept; few smooth the harmonics of the pitch away, many keep more of the vowel")
            .range(4, 64),
        field("delta_frames", &C::delta_frames, "width of the time derivative (odd); 0 = no derivatives")
            .unit("frames")
            .range(0, 31),
        field("tract_normalisation", &C::tract_normalisation,
              "move each recording's formants to where an average speaker has them"),
    };
  }
  bool operator==(const CepstralSettings&) const = default;
};

// Instead of a SHA-256, "imported:contentvec": features that another tool made and `melisma import` brought, of which
// only the name of the weights is known.
inline constexpr std::string_view kImportedWeights = "imported:";

// The outputs that voices of the RVC tools are trained on, by name.
struct HubertPreset {
  std::string_view name;
  std::int64_t layer;
  bool projection;
};
inline constexpr std::array<HubertPreset, 2> kHubertPresets{{{"v2", 12, false}, {"v1", 9, true}}};
inline constexpr std::array<std::string_view, 3> kHubertOutputNames{"v2", "v1", "layer"};
inline constexpr std::array<std::string_view, 2> kHubertArithmeticNames{"fp32", "bf16"};

struct HubertSettings {
  std::string output = "v2";
  std::int64_t layer = 12;
  bool projection = false;
  std::string arithmetic = "fp32";
  static constexpr auto fields() {
    using C = HubertSettings;
    return std::tuple{
        field(
            "output", &C::output,
            "v2: layer 12, for RVC v2 voices (768 wide); v1: layer 9 through final_proj, for RVC v1 voices (256 wide); "
            "layer: what layer and projection say")
            .choices(kHubertOutputNames),
        field("layer", &C::layer, "with output = layer: which hidden state").range(1, 48),
        field("projection", &C::projection, "with output = layer: whether final_proj follows"),
        field("arithmetic", &C::arithmetic,
              "of matrix products; bf16 is faster where the CPU multiplies it, and good to about two digits")
            .choices(kHubertArithmeticNames),
    };
  }
  bool operator==(const HubertSettings&) const = default;
};

// Features are filed under the settings of the method in use and no others, and under the SHA-256 of its weights, never
// their path: other weights make other features.
struct ContentConfig {
  std::string method = "cepstral";
  std::string weights, weights_sha256;
  CepstralSettings cepstral;
  HubertSettings hubert;
  static constexpr auto fields() {
    using C = ContentConfig;
    return std::tuple{
        field("method", &C::method, "what content features are made of").choices(kContentMethodNames),
        field(
            "weights", &C::weights,
            "of method hubert: a file of ContentVec or another HuBERT, or its folder; a path, or a name in the folder "
            "of weights")
            .cosmetic(),
        field("weights_sha256", &C::weights_sha256, "SHA-256 the weights must have; empty = those of the file"),
        field("cepstral", &C::cepstral, "of method cepstral"),
        field("hubert", &C::hubert, "of method hubert"),
    };
  }
  bool operator==(const ContentConfig&) const = default;
};

}  // namespace melisma
