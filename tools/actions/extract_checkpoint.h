// `melisma extract --format applio-checkpoint`: a training checkpoint as the files from which an RVC tool trains on.
#pragma once
#include <optional>
#include <string_view>

#include "models/rvc/training_file.h"
#include "tools/actions/extract_action.h"

namespace melisma {

// What a row of kExtractFormats that is no voice asks for.
struct CheckpointFormat {
  RvcTool tool;
  bool is_experiment = false;  // slices and features, too
};
[[nodiscard]] std::optional<CheckpointFormat> checkpoint_format_named(std::string_view format);

// Writes <output>/G_<step>.pth, D_<step>.pth and config.json. The source is a run, a checkpoint folder of one, or a G
// file of either tool with its D file beside it. An experiment is made of a run and the dataset it was trained on (or
// the one options.dataset names) in a new folder, which is there whole or not at all. Throws Error otherwise.
int extract_checkpoint(const ExtractOptions& options, const CheckpointFormat& format);

}  // namespace melisma
