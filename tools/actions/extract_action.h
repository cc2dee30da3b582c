// `melisma extract`: the voice of a run or of a checkpoint file as one file for others, smaller where asked.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace melisma {

struct ExtractOptions {
  std::filesystem::path workspace;
  std::string source;                  // run, run folder, checkpoint folder, or a .safetensors / .pth file
  std::string epoch;                   // "best", "last" or a number; empty = best (last for a training checkpoint)
  std::string dtype = "fp32";          // row of kExtractTypes
  std::string format = "safetensors";  // row of kExtractFormats
  bool fold = false;                   // fold weight norm into plain weights
  std::filesystem::path output;        // file, or folder of a training checkpoint; empty = <workspace>/models/<name>
  std::string dataset;                 // for the quality report or the slices; empty = the run's own
  std::int64_t report_clips = 8;       // held-out clips compared; 0 = all
  std::int64_t sample_rate_hz = 0;     // of a G file that does not tell it; 0 = it does
  bool json = false;
};

struct ExtractType {
  std::string_view name, summary;
};
inline constexpr std::array<ExtractType, 4> kExtractTypes{{
    {"fp32", "as trained"},
    {"fp16", "half the size, about 75 dB from fp32"},
    {"bf16", "half the size, range of fp32, about 50 dB"},
    {"int8", "a quarter of the size; a scale for each output channel, layers under 30 dB stay fp16"},
}};

struct ExtractFormat {
  std::string_view name, summary;
};
inline constexpr std::array<ExtractFormat, 8> kExtractFormats{{
    {"safetensors", "native: mapped, with configuration and provenance"},
    {"pth", "voice model for Applio and RVC-WebUI"},
    {"applio-checkpoint", "G and D with optimizer state, from which Applio trains on"},
    {"webui-checkpoint", "G and D with optimizer state, from which RVC-WebUI trains on"},
    {"applio-experiment", "the same with slices and features: a folder for Applio's logs/"},
    {"webui-experiment", "the same with slices and features: a folder for RVC-WebUI's logs/"},
    {"webui-old-checkpoint", "for releases of RVC-WebUI that make the text encoder of v2 first"},
    {"webui-old-experiment", "the same with slices and features, for these releases"},
}};

// Writes the model file and, for fp16, bf16 and int8, <output>.quality.json beside it; of a training checkpoint a
// folder with G_<step>.pth, D_<step>.pth and config.json; of an experiment the slices and their features, too. Throws
// Error otherwise.
int extract(const ExtractOptions& options);

}  // namespace melisma
