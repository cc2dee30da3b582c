// Experiment folders as Applio and RVC-WebUI leave them, for tests: slices of pseudo-speech with made-up features.
#pragma once
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "data/audio/audio_writer.h"
#include "data/sets/npy.h"
#include "tests/data/sets/pseudo_speech.h"

namespace melisma::testing {

// Rows of features that RVC's HuBERT gives of a slice, and frames of its pitch.
inline std::int64_t tool_rows(double seconds) { return (static_cast<std::int64_t>(seconds * 16000) - 400) / 320 + 1; }
inline std::int64_t tool_frames(double seconds) { return static_cast<std::int64_t>(seconds * 100) + 1; }

inline double f0_at(std::uint32_t seed, std::int64_t frame) { return frame % 7 == 0 ? 0 : 100 + seed + 0.5 * frame; }
inline float content_at(std::uint32_t seed, std::int64_t row, std::int64_t column) {
  return static_cast<float>(std::sin(0.1 * static_cast<double>(row) + static_cast<double>(column) + seed));
}

// One slice in the three folders that count.
struct ToolFolders {
  std::filesystem::path waves, f0, content;
  std::int64_t rate_hz = 40000, width = 768;
  void write(const std::string& name, std::uint32_t seed, double seconds) const {
    for (const auto& folder : {waves, f0, content}) std::filesystem::create_directories(folder);
    write_audio(waves / (name + ".wav"), {pseudo_speech(seed, seconds, rate_hz), 1, rate_hz}, "wav32f");
    std::vector<double> curve;
    for (std::int64_t t = 0; t < tool_frames(seconds); ++t) curve.push_back(f0_at(seed, t));
    const std::vector<std::int64_t> frames{tool_frames(seconds)}, shape{tool_rows(seconds), width};
    write_npy<double>(f0 / (name + ".wav.npy"), curve, frames);
    std::vector<float> rows;
    for (std::int64_t r = 0; r < shape[0]; ++r) {
      for (std::int64_t c = 0; c < width; ++c) rows.push_back(content_at(seed, r, c));
    }
    write_npy<float>(content / (name + ".npy"), rows, shape);
  }
};

inline ToolFolders applio_folders(const std::filesystem::path& experiment, std::int64_t rate_hz = 40000) {
  return {experiment / "sliced_audios", experiment / "f0_voiced", experiment / "extracted", rate_hz, 768};
}

// logs/NAME of Applio: `n` recordings of speaker 0 with two slices of 1.2 s each, and the lists beside them.
inline void write_applio_experiment(const std::filesystem::path& experiment, std::uint32_t n,
                                    std::int64_t rate_hz = 40000) {
  const auto folders = applio_folders(experiment, rate_hz);
  std::filesystem::create_directories(experiment);
  std::ofstream list(experiment / "filelist.txt");
  for (std::uint32_t i = 0; i < n; ++i) {
    for (std::uint32_t k = 0; k < 2; ++k) {
      const auto name = "0_" + std::to_string(i) + "_" + std::to_string(k);
      folders.write(name, 10 * i + k, 1.2);
      list << "logs/voice/sliced_audios/" << name << ".wav|logs/voice/extracted/" << name << ".npy|logs/voice/f0/"
           << name << ".wav.npy|logs/voice/f0_voiced/" << name << ".wav.npy|0\n";
    }
  }
  const auto mute =
      "logs/mute/sliced_audios/mute" + std::to_string(rate_hz) + ".wav|logs/mute/extracted/mute.npy|x|y|0";
  list << mute << "\n" << mute << "\n";
  std::ofstream(experiment / "model_info.json") << R"({"embedder_model": "contentvec", "speakers_id": 1})";
}

}  // namespace melisma::testing
