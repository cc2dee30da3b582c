// Sizes of mixing models: one struct for all families, each of which reads what concerns it. Torch-free.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "tools/config/fields.h"

namespace melisma {

// The mel spectrogram that a model hears, in training, inference and evaluation alike: in dB, Slaney's scale and norm.
struct MixMelConfig {
  std::int64_t n_fft = 2048;
  std::int64_t hop = 1024;
  std::int64_t n_mels = 96;
  bool operator==(const MixMelConfig&) const = default;
  static constexpr auto fields() {
    using C = MixMelConfig;
    return std::tuple{
        field("n_fft", &C::n_fft, "samples of a frame").range(64, 65536),
        field("hop", &C::hop, "samples between frames").range(16, 65536),
        field("n_mels", &C::n_mels, "mel bands from 0 Hz to Nyquist").range(8, 512),
    };
  }
};

struct MixTransformerConfig {
  std::int64_t width = 128;
  std::int64_t layers = 3;
  std::int64_t heads = 4;
  double dropout = 0;
  bool reference = true;
  bool operator==(const MixTransformerConfig&) const = default;
  static constexpr auto fields() {
    using C = MixTransformerConfig;
    return std::tuple{
        field("width", &C::width, "numbers of a token; published: 512").range(8, 4096),
        field("layers", &C::layers, "attention layers; published: 12").range(1, 64),
        field("heads", &C::heads, "attention heads, a divisor of width; published: 8").range(1, 64),
        field("dropout", &C::dropout, "dropped within the layers while training").range(0, .9),
        field("reference", &C::reference, "whether a reference song is listened to where one is given"),
    };
  }
};

inline constexpr std::array<std::string_view, 3> kMixCnnBodies{"plain", "residual", "attention"};

struct MixCnnConfig {
  std::string body = "residual";
  bool operator==(const MixCnnConfig&) const = default;
  static constexpr auto fields() {
    using C = MixCnnConfig;
    return std::tuple{
        field("body", &C::body,
              "plain convolutions, residual blocks, or residual blocks with squeeze-and-excitation and attention over "
              "time")
            .choices(kMixCnnBodies),
    };
  }
};

struct MixWaveUnetConfig {
  std::int64_t tracks = 8;
  std::int64_t levels = 12;
  std::int64_t growth = 24;
  std::int64_t kernel = 13;
  std::int64_t output_kernel = 5;
  bool operator==(const MixWaveUnetConfig&) const = default;
  static constexpr auto fields() {
    using C = MixWaveUnetConfig;
    return std::tuple{
        field("tracks", &C::tracks, "tracks it takes, in a fixed order; fewer are filled up with silence").range(1, 64),
        field("levels", &C::levels, "times the rate is halved; lengths are multiples of 2^levels").range(1, 16),
        field("growth", &C::growth, "channels added at each level").range(1, 512),
        field("kernel", &C::kernel, "samples of a convolution, odd").range(1, 255),
        field("output_kernel", &C::output_kernel, "samples of the last convolution, odd").range(1, 255),
    };
  }
};

inline constexpr std::array<std::string_view, 4> kMixFamilyNames{"transformer", "cnn", "dmc", "wave-u-net"};

struct MixModelConfig {
  std::string family = "transformer";
  std::int64_t sample_rate_hz = 44100;
  std::int64_t channels = 16;
  std::int64_t blocks = 5;
  bool reverb = false;
  MixMelConfig mel;
  MixTransformerConfig transformer;
  MixCnnConfig cnn;
  MixWaveUnetConfig wave_unet;
  bool operator==(const MixModelConfig&) const = default;
  static constexpr auto fields() {
    using C = MixModelConfig;
    return std::tuple{
        field("family", &C::family,
              "transformer and cnn predict a console's parameters, dmc gain and pan, wave-u-net makes the mix itself")
            .choices(kMixFamilyNames),
        field("sample_rate_hz", &C::sample_rate_hz, "rate of the tracks and of the mix")
            .unit("Hz")
            .range(16000, 192000),
        field("channels", &C::channels, "channels of the first convolution over spectrograms; published: dmc 128")
            .range(1, 1024),
        field("blocks", &C::blocks, "convolution blocks over spectrograms, each halves both axes (dmc: always 7)")
            .range(1, 8),
        field("reverb", &C::reverb, "whether the console has a reverb"),
        field("mel", &C::mel, "what the model hears"),
        field("transformer", &C::transformer, "sizes of family transformer"),
        field("cnn", &C::cnn, "sizes of family cnn"),
        field("wave_unet", &C::wave_unet, "sizes of family wave-u-net; published: 8 tracks, 12 levels, growth 24"),
    };
  }
};

}  // namespace melisma
