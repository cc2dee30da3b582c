// The slices of an experiment folder, with the features the tool made of them, as a dataset.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "tools/base/event.h"
#include "train/import/experiment_folder.h"
#include "train/prepare/prepare.h"

namespace melisma {

struct ImportRequest {
  std::filesystem::path dataset;  // <workspace>/datasets/<name>.h5
  std::string voice;              // name of the speaker where there is one
  std::string tool_version;
  FeatureKey pitch, content;  // what the features are filed under
  std::int64_t content_width = 768;
  std::int64_t sample_rate_hz = 0;  // of the voice; 0 = that of the first slice
  double validation_share = 0.1, test_share = 0.1;
  std::uint64_t seed = 0;
  bool force = false;  // replace a dataset of that name
};

// Columns of the content features: those of the first slice whose file can be read; 0 if there is none.
[[nodiscard]] std::int64_t content_width_of(const ExperimentFolder& experiment);

// Writes the dataset: each slice a clip as the tool cut it (float32, nothing done to it), its features cut or held to
// the clip's frames, the split as the folder has it (held_out), or else by recording as prepare() makes it. Slices of
// one recording lie end to end: the tools do not note where they were cut. A file that is missing, damaged or of
// another rate or length than its slice becomes the slice's fate, a row of the report. Throws Error: usage (a dataset
// of that name and no force), device (disk).
PrepareReport import_dataset(const ExperimentFolder& experiment, const ImportRequest& request, EventSink& events);

}  // namespace melisma
