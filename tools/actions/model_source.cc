#include "tools/actions/model_source.h"

#include <fmt/format.h>

#include <map>

#include "models/rvc/voice_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

bool is_checkpoint_folder(const fs::path& folder) { return fs::is_regular_file(folder / "DONE"); }

fs::path weights_in(const fs::path& checkpoint) {
  const auto averaged = checkpoint / "ema.safetensors";
  return fs::exists(averaged) ? averaged : checkpoint / "model.safetensors";
}

ModelSource model_of_run(Run run, std::string_view which) {
  const auto checkpoints = list_checkpoints(run.checkpoints());
  if (checkpoints.empty()) {
    fail(ErrorKind::checkpoint, "run '{}' has no complete checkpoint yet; its status is '{}'", run.id(),
         run.status().state);
  }
  const auto chosen = choose_checkpoint(checkpoints, which);
  auto label = fmt::format("{}, epoch {}", run.name(), chosen.epoch);
  return {.file = weights_in(chosen.folder), .run = std::move(run), .checkpoint = chosen, .label = std::move(label)};
}

}  // namespace

ModelSource find_model(const fs::path& workspace, const std::string& name, std::string_view which) {
  const fs::path path(name);
  if (fs::is_regular_file(path)) return {.file = path, .label = path.filename().string()};
  if (is_checkpoint_folder(path)) return {.file = weights_in(path), .label = path.filename().string()};
  const bool looks_like_a_file = path.has_extension() || path.has_parent_path();
  if (looks_like_a_file && !fs::exists(path)) {
    fail(ErrorKind::usage, "no such model file or folder: '{}'; a run of the workspace is named without path", name);
  }
  return model_of_run(Run::open(workspace, name), which);
}

void make_labels_distinct(std::vector<ModelSource>& sources) {
  std::map<std::string, int> count;
  for (const auto& source : sources) ++count[source.label];
  for (auto& source : sources) {
    if (count[source.label] > 1) source.label = source.file.string();
  }
}

ModelFile load_model(const fs::path& workspace, const std::string& name, std::string_view which) {
  return read_rvc_voice(find_model(workspace, name, which).file);
}

}  // namespace melisma
