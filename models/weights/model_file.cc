#include "models/weights/model_file.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "models/weights/mapped_file.h"
#include "models/weights/model_info.h"
#include "models/weights/pth_file.h"
#include "models/weights/pth_model.h"
#include "models/weights/weight_norm.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace model_file_detail {
namespace {

constexpr std::int64_t kFormatVersion = 1;

// The number under `key`, or `otherwise` if there is none.
std::int64_t number_in(const FileMetadata& metadata, const std::string& key, std::int64_t otherwise) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return otherwise;
  const auto& text = found->second;
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) {
    fail(ErrorKind::checkpoint, "its metadata '{}' is '{}'; a whole number is expected", key, text);
  }
  return value;
}

std::string text_in(const FileMetadata& metadata, const std::string& key, const std::string& otherwise) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? otherwise : found->second;
}

FileMetadata metadata_of(const ModelFile& model) {
  FileMetadata metadata{{"format", "pt"},
                        {"format_version", std::to_string(kFormatVersion)},
                        {"family", model.family},
                        {"config", model.config},
                        {"sample_rate", std::to_string(model.sample_rate_hz)},
                        {"quantization", model.quantization},
                        {"layout", model.layout}};
  if (!model.info.empty()) {
    const auto info = nlohmann::json::parse(model.info);
    for (const auto& [key, value] : info.items()) metadata[key] = value.get<std::string>();
  }
  if (!model.metrics.empty()) metadata["metrics"] = model.metrics;
  if (!model.provenance.empty()) metadata["provenance"] = model.provenance;
  if (model.epoch >= 0) metadata["epoch"] = std::to_string(model.epoch);
  if (model.step >= 0) metadata["step"] = std::to_string(model.step);
  return metadata;
}

// What is not the program's own, as JSON.
std::string info_of(const FileMetadata& metadata) {
  auto info = nlohmann::json::object();
  for (const auto& [key, value] : metadata) {
    if (!is_program_metadata(key)) info[key] = value;
  }
  return info.empty() ? "" : info.dump();
}

// A value of foreign metadata: JSON, or Python's words for what JSON has too; otherwise the text itself.
nlohmann::ordered_json foreign_value(const std::string& text) {
  if (text == "True" || text == "False") return text == "True";
  auto value = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? nlohmann::ordered_json(text) : value;
}

// The voice changer of w-okada keeps the entries of a voice's .pth as metadata, its list of sizes as "config".
ModelFile from_voice_changer(SafetensorsFile file) {
  auto contents = nlohmann::ordered_json::object();
  for (const auto& [key, text] : file.metadata) {
    if (key != "format") contents[key] = foreign_value(text);
  }
  ModelFile model;
  model.weights = with_plain_weight_norm_names(std::move(file.tensors));
  model.contents = json_line(contents);
  model.layout = "w-okada";
  const auto number = [&](const char* key) {
    return contents.contains(key) && contents[key].is_number_integer() ? contents[key].get<std::int64_t>() : -1;
  };
  model.epoch = number("epoch");
  model.step = number("step");
  return model;
}

bool is_of_voice_changer(const FileMetadata& metadata) {
  const auto config = metadata.find("config");
  return !metadata.contains("family") && config != metadata.end() && config->second.starts_with('[');
}

ModelFile from_safetensors(SafetensorsFile file) {
  if (is_of_voice_changer(file.metadata)) return from_voice_changer(std::move(file));
  const auto version = number_in(file.metadata, "format_version", 0);
  if (version > kFormatVersion) {
    fail(ErrorKind::checkpoint, "its format version is {}, this program reads up to {}; use a newer melisma", version,
         kFormatVersion);
  }
  ModelFile model;
  model.weights = with_plain_weight_norm_names(std::move(file.tensors));
  model.family = text_in(file.metadata, "family", "");
  model.config = text_in(file.metadata, "config", "");
  model.sample_rate_hz = number_in(file.metadata, "sample_rate", 0);
  model.quantization = text_in(file.metadata, "quantization", "none");
  model.metrics = text_in(file.metadata, "metrics", "");
  model.provenance = text_in(file.metadata, "provenance", "");
  model.epoch = number_in(file.metadata, "epoch", -1);
  model.step = number_in(file.metadata, "step", -1);
  model.info = info_of(file.metadata);
  model.layout = text_in(file.metadata, "layout", version > 0 ? "melisma" : "safetensors");
  return model;
}

// Neither container: says so, unless the path itself is the trouble.
void refuse_unknown(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (path.extension() == ".safetensors") return;  // its reader knows better what is wrong
  fail(ErrorKind::checkpoint, "'{}' is neither a .safetensors nor a .pth file", path.string());
}

}  // namespace
}  // namespace model_file_detail

ModelFile read_model(const std::filesystem::path& path) {
  const auto loading = fmt::format("loading '{}'", path.string());
  if (looks_like_pth(path)) {
    const auto content = read_pth(path);
    return with_context(loading, [&] { return model_from_pth(content); });
  }
  if (!looks_like_safetensors(path)) model_file_detail::refuse_unknown(path);
  auto content = read_safetensors(path);
  return with_context(loading, [&] { return model_file_detail::from_safetensors(std::move(content)); });
}

void verify_model(const std::filesystem::path& path) {
  const auto file = read_safetensors(path);
  const auto stated = model_file_detail::text_in(file.metadata, kTensorDigestKey, "");
  if (stated.empty()) fail(ErrorKind::checkpoint, "'{}' states no SHA-256 of its tensors", path.string());
  const auto found = file.tensor_bytes_sha256();
  if (found != stated) {
    fail(ErrorKind::checkpoint, "the tensors of '{}' have the SHA-256 {}, but {} is stated: the file is damaged",
         path.string(), found, stated);
  }
}

void write_safetensors_model(const std::filesystem::path& path, const ModelFile& model) {
  std::vector<TensorToWrite> plans;
  for (const auto& [name, tensor] : model.weights) {
    plans.push_back({name, tensor.sizes().vec(), tensor.scalar_type(), [tensor = tensor.detach()] { return tensor; }});
  }
  write_safetensors_model(path, model, std::move(plans), {});
}

void write_safetensors_model(const std::filesystem::path& path, const ModelFile& model,
                             std::vector<TensorToWrite> tensors, const FileMetadata& more_metadata) {
  auto metadata = model_file_detail::metadata_of(model);
  metadata.insert(more_metadata.begin(), more_metadata.end());
  write_safetensors(path, std::move(tensors), std::move(metadata), /*with_digest=*/true);
}

}  // namespace melisma
