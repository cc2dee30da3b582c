// The shape of an RVC voice: every size of synthesizer, spectrogram and discriminator, and the presets in use.
// Torch-free.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tools/config/fields.h"

namespace melisma {

inline constexpr std::array<std::string_view, 3> kRvcDiscriminators{"v1", "v2", "v3"};

// A decoder that turns the latent into audio. Voices of one cannot be loaded into another.
struct RvcVocoder {
  std::string_view name;       // in our settings
  std::string_view tool_name;  // in Applio's files
  std::int64_t sines;          // of f0 and its multiples in the source
  std::string_view caveat;     // what who trains one should know; empty for none
};
inline constexpr std::array<RvcVocoder, 3> kRvcVocoders{{
    {"hifigan", "HiFi-GAN", 1, ""},
    {"mrf", "MRF HiFi-GAN", 9, ""},
    {"refinegan", "RefineGAN", 1,
     "its linear upsampling leaves mirrored spectra, and Applio prepares another form that reads other files; hifigan "
     "has neither trouble"},
}};
inline constexpr std::array<std::string_view, 3> kRvcVocoderNames{kRvcVocoders[0].name, kRvcVocoders[1].name,
                                                                  kRvcVocoders[2].name};

// Which sub-discriminators judge the audio, and how wide they are.
struct RvcDiscriminatorConfig {
  std::string version = "v2";
  std::int64_t scale_divisor = 1;
  std::int64_t period_divisor = 1;
  bool operator==(const RvcDiscriminatorConfig&) const = default;
  static constexpr auto fields() {
    using C = RvcDiscriminatorConfig;
    return std::tuple{
        field(
            "version", &C::version,
            "set of sub-discriminators: v1 six periods, v2 eight, v3 five and three spectra; follows model.vocoder: v3 "
            "with refinegan")
            .choices(kRvcDiscriminators),
        field("scale_divisor", &C::scale_divisor, "inner widths of the scale discriminator are divided by this")
            .range(1, 16),
        field("period_divisor", &C::period_divisor, "inner widths of the period discriminators are divided by this")
            .range(1, 32),
    };
  }
};

struct RvcConfig {
  // Sound.
  std::int64_t sample_rate_hz = 40000;
  std::int64_t n_fft = 2048, hop = 400, window = 2048;
  std::int64_t n_mels = 125;
  double mel_fmin = 0, mel_fmax = 0;
  std::int64_t segment_frames = 32;
  // What it is fed with.
  std::int64_t content_channels = 768;
  bool use_f0 = true;
  std::int64_t speakers = 109;
  std::string vocoder = "hifigan";
  // Widths and depths.
  std::int64_t inter_channels = 192, hidden_channels = 192, filter_channels = 768;
  std::int64_t n_heads = 2, n_layers = 6, kernel_size = 3;
  std::int64_t posterior_layers = 16;
  std::int64_t speaker_channels = 256;
  std::int64_t upsample_initial_channels = 512;
  std::vector<std::int64_t> upsample_rates{10, 10, 2, 2};
  std::vector<std::int64_t> upsample_kernels{16, 16, 4, 4};
  std::vector<std::int64_t> resblock_kernels{3, 7, 11};
  std::vector<std::int64_t> resblock_dilations{1, 3, 5};
  bool operator==(const RvcConfig&) const = default;

  [[nodiscard]] std::int64_t segment_samples() const { return segment_frames * hop; }
  [[nodiscard]] std::int64_t spectrum_bins() const { return n_fft / 2 + 1; }

  static constexpr auto fields() {
    using C = RvcConfig;
    return std::tuple{
        field("sample_rate_hz", &C::sample_rate_hz, "rate of the audio").unit("Hz").range(8000, 192000),
        field("n_fft", &C::n_fft, "transform length of the spectrogram").unit("samples").range(16, 65536),
        field("hop", &C::hop, "samples a frame; 100 frames are one second").unit("samples").range(1, 8192),
        field("window", &C::window, "Hann window of the spectrogram").unit("samples").range(16, 65536),
        field("n_mels", &C::n_mels, "bands of the mel loss").range(1, 1024),
        field("mel_fmin", &C::mel_fmin, "lowest frequency of the mel bands").unit("Hz").at_least(0),
        field("mel_fmax", &C::mel_fmax, "highest frequency of the mel bands; 0 = half the rate").unit("Hz").at_least(0),
        field("segment_frames", &C::segment_frames, "length of audio the decoder is trained on")
            .unit("frames")
            .range(1, 4096),
        field("content_channels", &C::content_channels, "width of the content features (v1 256, v2 768)")
            .range(1, 8192),
        field("use_f0", &C::use_f0, "the voice follows a pitch curve (needed for singing)"),
        field("speakers", &C::speakers, "rows of the speaker table").range(1, 100000),
        field("vocoder", &C::vocoder,
              "the decoder: hifigan as in most voices; mrf the same with nine sines; refinegan with a pyramid of the "
              "source")
            .choices(kRvcVocoderNames),
        field("inter_channels", &C::inter_channels, "width of the latent, even").range(2, 4096),
        field("hidden_channels", &C::hidden_channels, "width inside encoders and flow").range(1, 4096),
        field("filter_channels", &C::filter_channels, "width inside the text encoder's feed-forward layers")
            .range(1, 16384),
        field("n_heads", &C::n_heads, "attention heads of the text encoder").range(1, 64),
        field("n_layers", &C::n_layers, "layers of the text encoder").range(1, 64),
        field("kernel_size", &C::kernel_size, "kernel of the text encoder's feed-forward layers").range(1, 31),
        field("posterior_layers", &C::posterior_layers, "layers of the posterior encoder").range(1, 64),
        field("speaker_channels", &C::speaker_channels, "width of the speaker vector").range(1, 4096),
        field("upsample_initial_channels", &C::upsample_initial_channels, "width of the decoder before upsampling")
            .range(2, 8192),
        field("upsample_rates", &C::upsample_rates, "upsampling of each decoder stage; their product is hop")
            .range(1, 512),
        field("upsample_kernels", &C::upsample_kernels, "kernel of each upsampling stage").range(1, 1024),
        field("resblock_kernels", &C::resblock_kernels, "kernels of the residual blocks of a stage").range(1, 63),
        field("resblock_dilations", &C::resblock_dilations, "dilations of a residual block, three of them")
            .range(1, 64),
    };
  }
};

// Throws Error(config) naming the first settings that contradict each other.
void check_config(const RvcConfig& config);
// The row of config.vocoder.
[[nodiscard]] const RvcVocoder& vocoder_of(const RvcConfig& config);
// The decoder's width after stage `stage` (0-based).
[[nodiscard]] std::int64_t decoder_channels(const RvcConfig& config, std::size_t stage);

// The configurations of the RVC tools, by name; find_row(kRvcConfigs, name, "RVC configuration").make().
struct RvcPreset {
  std::string_view name, summary;
  RvcConfig (*make)();
};
[[nodiscard]] RvcConfig rvc_v1_32k();
[[nodiscard]] RvcConfig rvc_v1_40k();
[[nodiscard]] RvcConfig rvc_v1_48k();
[[nodiscard]] RvcConfig rvc_v2_24k();
[[nodiscard]] RvcConfig rvc_v2_32k();
[[nodiscard]] RvcConfig rvc_v2_40k();
[[nodiscard]] RvcConfig rvc_v2_48k();
inline constexpr std::array<RvcPreset, 7> kRvcConfigs{{
    {"v1-32k", "RVC v1 at 32 kHz, 256 content channels", rvc_v1_32k},
    {"v1-40k", "RVC v1 at 40 kHz, 256 content channels", rvc_v1_40k},
    {"v1-48k", "RVC v1 at 48 kHz, 256 content channels", rvc_v1_48k},
    {"v2-24k", "RVC v2 sizes at 24 kHz", rvc_v2_24k},
    {"v2-32k", "RVC v2 at 32 kHz, 768 content channels", rvc_v2_32k},
    {"v2-40k", "RVC v2 at 40 kHz, 768 content channels", rvc_v2_40k},
    {"v2-48k", "RVC v2 at 48 kHz, 768 content channels", rvc_v2_48k},
}};

}  // namespace melisma
