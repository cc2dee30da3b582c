// `melisma extract --format applio-checkpoint`: a training checkpoint as the files from which an RVC tool trains on.
#pragma once
#include <optional>
#include <string_view>

#include "models/rvc/training_file.h"
#include "tools/actions/extract_action.h"

namespace melisma {

// Whose checkpoint a row of kExtractFormats is; nothing for voices.
[[nodiscard]] std::optional<RvcTool> tool_of_checkpoint_format(std::string_view format);

// Writes <output>/G_<step>.pth, D_<step>.pth and config.json. The source is a run, a checkpoint folder of one, or a G
// file of either tool with its D file beside it. Throws Error otherwise.
int extract_checkpoint(const ExtractOptions& options, RvcTool tool);

}  // namespace melisma
