// Training checkpoints of the RVC tools (G_*.pth, D_*.pth) with their optimizer state: read by name, written by number.
#pragma once
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/rvc/config.h"
#include "models/weights/model_file.h"
#include "models/weights/torch_adam.h"

namespace melisma {

// Who trains on from a checkpoint. Each registers the parts of G in another order, so that the same number in an
// optimizer's state means another parameter. Older releases of RVC-WebUI make the text encoder of v2 first, as that of
// v1; newer ones (seen in its commit 4338f12 of July 2026) make it last.
enum class RvcTool { applio, webui, webui_old };
inline constexpr std::array kRvcTools{RvcTool::applio, RvcTool::webui, RvcTool::webui_old};

// "Applio", "RVC-WebUI", "older RVC-WebUI"
[[nodiscard]] std::string_view name_of(RvcTool tool);

// The parameters of G in the order of a tool, names and shapes; the tensors need no memory.
[[nodiscard]] StateDict rvc_generator_parameters(const RvcConfig& config, RvcTool tool);

// `weights` of D in the order that all tools use. Throws Error(checkpoint) naming the first tensor that is none of
// D's.
[[nodiscard]] StateDict in_discriminator_order(const StateDict& weights);

// The sub-discriminators and widths that `weights` must have been made with. Throws Error(checkpoint) if no
// configuration has them.
[[nodiscard]] RvcDiscriminatorConfig rvc_discriminator_of_shapes(const StateDict& weights);

// One network of a checkpoint, everything needed to train on with it.
struct RvcTrainingFile {
  ModelFile model;                  // G: family "rvc", epoch = epochs trained; D: weights alone
  StateDict moments;                // "<parameter>/exp_avg", "/exp_avg_sq", "/step" of every parameter
  bool has_moments = false;         // false: the optimizer had not stepped, or was not kept; moments are zeros
  TorchAdamSettings optimizer;      // as the file says, or the defaults of the tools
  RvcTool order = RvcTool::applio;  // in which the moments were numbered
};

// Read with weights checked to be finite. Whose order the moments of G are in is found by their shapes; where those fit
// several tools, by the order of the weights beside them. Throws Error(checkpoint) if they fit none, or if it cannot be
// told.
// The sample rate of G is needed where neither its tensors nor a config.json beside it tell it; 0 = not known.
[[nodiscard]] RvcTrainingFile read_rvc_generator(const std::filesystem::path& path, std::int64_t sample_rate_hz = 0);
[[nodiscard]] RvcTrainingFile read_rvc_discriminator(const std::filesystem::path& path);

// The D file that lies beside a G file, told by its name (G_2333.pth and D_2333.pth, f0G40k.pth and f0D40k.pth);
// nothing if there is none.
[[nodiscard]] std::optional<std::filesystem::path> rvc_discriminator_beside(const std::filesystem::path& generator);

// The contents of a G_*.pth or D_*.pth from which `tool` trains on: model, iteration (= model.epoch), optimizer,
// learning_rate (= initial_lr), and the scaler of Applio. `parameters` are the names in the order of the tool.
[[nodiscard]] PickleValue rvc_training_value(const RvcTrainingFile& file, const std::vector<std::string>& parameters,
                                             RvcTool tool);

// Writes both files for `tool`, atomically each.
void write_rvc_generator(const std::filesystem::path& path, const RvcTrainingFile& file, RvcTool tool);
void write_rvc_discriminator(const std::filesystem::path& path, const RvcTrainingFile& file, RvcTool tool);

}  // namespace melisma
