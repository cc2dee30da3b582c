#include "models/pitch/pitch_files.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "models/weights/model_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace pitch_files_detail {
namespace {
namespace fs = std::filesystem;

template <class Network>
std::shared_ptr<const Network> build(const fs::path& path, const auto& shape_of) {
  const c10::InferenceMode inference;
  const auto file = read_model(path);
  return with_context(fmt::format("loading '{}'", path.string()), [&] {
    NamedWeights weights(file.weights);
    auto network = std::make_shared<const Network>(shape_of(file), weights);
    weights.check();
    return network;
  });
}

std::shared_ptr<const Rmvpe> build_rmvpe(const fs::path& path) {
  return build<Rmvpe>(path, [](const ModelFile& file) { return rmvpe_shape_of(file.weights); });
}
std::shared_ptr<const Crepe> build_crepe(const fs::path& path) {
  return build<Crepe>(path, [](const ModelFile& file) { return crepe_shape_of(file.weights); });
}
std::shared_ptr<const Fcpe> build_fcpe(const fs::path& path) { return build<Fcpe>(path, fcpe_shape_of); }

}  // namespace
}  // namespace pitch_files_detail

std::shared_ptr<const Rmvpe> load_rmvpe(const std::filesystem::path& path) {
  return remembered(path, pitch_files_detail::build_rmvpe);
}

std::shared_ptr<const Crepe> load_crepe(const std::filesystem::path& path) {
  return remembered(path, pitch_files_detail::build_crepe);
}

std::shared_ptr<const Fcpe> load_fcpe(const std::filesystem::path& path) {
  return remembered(path, pitch_files_detail::build_fcpe);
}

}  // namespace melisma
