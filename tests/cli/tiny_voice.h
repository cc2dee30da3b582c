// A voice of a few thousand weights for tests of the command line, trained for one epoch by the real program.
#pragma once
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "data/audio/audio_writer.h"
#include "tests/cli/program_run.h"
#include "tests/data/sets/pseudo_speech.h"
#include "tools/base/atomic_file.h"

namespace melisma::testing {

// Settings of `melisma train rvc`: an epoch takes under a second.
inline constexpr const char* kTinyVoice = R"(preset = "v2-40k"
[model]
inter_channels = 8
hidden_channels = 8
filter_channels = 8
n_heads = 1
n_layers = 1
posterior_layers = 1
speaker_channels = 8
speakers = 4
segment_frames = 12
upsample_initial_channels = 16
resblock_kernels = [3]
[discriminator]
version = "v1"
scale_divisor = 16
period_divisor = 32
[pitch]
method = "yin"
[data]
batch_size = 4
max_frames = 100
[trainer]
epochs = 2
[validation]
clips = 1
samples = 0
)";

// The same with parts of it written otherwise, and more sections after it.
inline std::string tiny_voice_with(const std::vector<std::pair<std::string, std::string>>& replacements,
                                   const std::string& more) {
  std::string settings = kTinyVoice;
  for (const auto& [part, replacement] : replacements) {
    const auto at = settings.find(part);
    if (at == std::string::npos) throw std::runtime_error("the tiny voice does not say '" + part + "'");
    settings.replace(at, part.size(), replacement);
  }
  return settings + more;
}

// Recordings of pseudo-speech, `n` files <folder>/<speaker>/<i>.wav of two seconds at 16 kHz.
inline void write_recordings(const std::filesystem::path& folder, const std::string& speaker, std::uint32_t n,
                             std::uint32_t seed = 0) {
  std::filesystem::create_directories(folder / speaker);
  for (std::uint32_t i = 0; i < n; ++i) {
    write_audio(folder / speaker / (std::to_string(i) + ".wav"), {pseudo_speech(seed + i, 2.0, 16000), 1, 16000});
  }
}

// The file of a voice with the speakers joel and mara at 40 kHz, made once a test binary. Beside it lies the workspace
// it comes from: dataset "two", run "tiny".
inline std::filesystem::path tiny_voice() {
  static const auto folder = [] {
    auto made = std::make_unique<TemporaryFolder>();
    write_recordings(made->path() / "in", "joel", 3);
    write_recordings(made->path() / "in", "mara", 3, 100);
    write_file_atomically(*made / "tiny.toml", kTinyVoice);
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"prepare", "in", "--name", "two", "--pitch", "yin"},
          {"train", "rvc", "--dataset", "two", "--config", "tiny.toml", "--name", "tiny", "--epochs", "1"},
          {"extract", "tiny", "-o", "voice.safetensors"}}) {
      const auto result = run_program(made->path(), words);
      if (result.exit_code != 0) throw std::runtime_error("no tiny voice: " + result.err);
    }
    return made;
  }();
  return *folder / "voice.safetensors";
}

inline std::filesystem::path tiny_workspace() { return tiny_voice().parent_path() / "melisma-workspace"; }

// Another voice of the same dataset, in a workspace of its own, made once a test binary.
inline std::filesystem::path other_voice() {
  static const auto folder = [] {
    auto made = std::make_unique<TemporaryFolder>();
    write_file_atomically(*made / "tiny.toml", kTinyVoice);
    const auto dataset = (tiny_workspace() / "datasets" / "two.h5").string();
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"train", "rvc", "--dataset", dataset, "--config", "tiny.toml", "--name", "other",
                                   "--epochs", "1", "--set", "trainer.seed=99"},
          {"extract", "other", "-o", "other.safetensors"}}) {
      const auto result = run_program(made->path(), words);
      if (result.exit_code != 0) throw std::runtime_error("no other voice: " + result.err);
    }
    return made;
  }();
  return *folder / "other.safetensors";
}

// The checkpoint folder of the run "tiny".
inline std::filesystem::path tiny_checkpoint() {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(tiny_workspace() / "runs")) {
    if (entry.path().filename() == "DONE") return entry.path().parent_path();
  }
  throw std::runtime_error("the run 'tiny' has no checkpoint");
}

}  // namespace melisma::testing
