// An experiment folder of Applio or RVC-WebUI: its slices with their features, who speaks, settings and checkpoints.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/dataset.h"

namespace melisma {

// Where a tool keeps things in an experiment folder.
struct ExperimentLayout {
  std::string_view tool;       // "applio", "webui"
  std::string_view waves;      // <name>.wav at the rate of the voice
  std::string_view waves_16k;  // <name>.wav at 16 kHz, which features are made of
  std::string_view coarse;     // <name>.wav.npy, RVC's pitch bins, 100 a second
  std::string_view f0;         // <name>.wav.npy in Hz, 100 a second
  std::string_view content;    // <name>.npy, 50 rows a second
};
inline constexpr std::array kExperimentLayouts{
    ExperimentLayout{"applio", "sliced_audios", "sliced_audios_16k", "f0", "f0_voiced", "extracted"},
    ExperimentLayout{"webui", "0_gt_wavs", "1_16k_wavs", "2a_f0", "2b-f0nsf", "3_feature768"},
    ExperimentLayout{"webui", "0_gt_wavs", "1_16k_wavs", "2a_f0", "2b-f0nsf", "3_feature256"},
};

// What `melisma extract` keeps from the tool lies in held_out/validation and held_out/test, laid out as the tool's own
// slices are; beside them held_out.json says whether anybody trained on it: {"caveat": ""} if nobody did.
inline constexpr std::string_view kHeldOutFolder = "held_out";
inline constexpr std::string_view kHeldOutFile = "held_out.json";
// Of slices that the tool cut and trained on.
inline constexpr std::string_view kAllWereHeard =
    "the tool trained on all of these slices, so held-out scores of this run are not of unheard recordings";

// One slice that the tool cut, whatever of it is still there.
struct ExperimentSlice {
  std::string name;       // "0_12_3"
  std::string recording;  // "0_12": the tools number recordings and forget their names
  std::int64_t speaker = 0;
  std::optional<Split> side;                // where slices lie in held_out; nothing: no slice of the folder does
  std::filesystem::path wave, f0, content;  // where they belong; a file may be missing
};

struct ExperimentFolder {
  std::filesystem::path folder;
  const ExperimentLayout* layout = nullptr;       // null: no slices, only other files
  std::vector<ExperimentSlice> slices;            // by name, numbers in their order
  std::string held_out_caveat{kAllWereHeard};     // why held-out scores say less than they seem to; empty = they do not
  std::int64_t n_fillers = 0;                     // silent "mute" entries of the list of files, which are left out
  std::string embedder = "contentvec";            // what made the content features, as the tool names it
  std::optional<std::filesystem::path> config;    // config.json
  std::vector<std::filesystem::path> generators;  // G_*.pth
  std::vector<std::filesystem::path> voices;      // other .pth files

  [[nodiscard]] std::int64_t n_held_out() const;  // slices that lie in held_out
  [[nodiscard]] std::int64_t n_speakers() const;  // rows of the speaker table that the slices use
};

// Reads lists and names, no audio and no weights. The speaker of a slice is what filelist.txt says, or else the first
// number of Applio's names, or else 0. Throws Error(data) if the folder is missing or holds nothing of an experiment.
[[nodiscard]] ExperimentFolder look_at_experiment(const std::filesystem::path& folder);

}  // namespace melisma
