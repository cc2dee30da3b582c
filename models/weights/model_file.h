// A model as a file holds it: weights plus what they are. Every reader returns it, every writer takes it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/weights/safetensors.h"
#include "models/weights/state_dict.h"

namespace melisma {

struct ModelFile {
  StateDict weights;
  std::string family;  // "rvc"
  std::string config;  // canonical JSON of the family's configuration
  std::int64_t sample_rate_hz = 0;
  std::string quantization = "none";   // "none", "int8" (scheme in the metadata of docs)
  std::string metrics;                 // JSON: held-out numbers known when it was written; may be empty
  std::string provenance;              // JSON: where the weights come from; may be empty
  std::int64_t epoch = -1, step = -1;  // -1 = unknown
  std::string layout = "melisma";      // who wrote it: "melisma", "applio", "webui", "w-okada", ...
  std::string contents;                // JSON of what a foreign file says beside its tensors; empty in native files
  std::string info;                    // JSON of what people wrote into a native file: name, author, ...; may be empty
};

// Reads .safetensors or .pth/.pt by content, not by name. Weight-norm spellings come out as weight_g / weight_v. A
// foreign file has no family or config yet: models/rvc/voice_file.h makes an RVC voice of it.
// Throws Error(checkpoint) for anything malformed; never executes anything; allocates no more than the file holds.
[[nodiscard]] ModelFile read_model(const std::filesystem::path& path);

// Throws Error(checkpoint) if the tensor bytes of a native file do not have the SHA-256 that its metadata states, or if
// it states none. Reads the whole file, which read_model does not.
void verify_model(const std::filesystem::path& path);

// Native format. Written atomically; the SHA-256 of the tensor bytes is in the metadata.
void write_safetensors_model(const std::filesystem::path& path, const ModelFile& model);

// The same with tensors made one by one as they are written (model.weights is not looked at), and metadata of the
// caller's own beside that of the model.
void write_safetensors_model(const std::filesystem::path& path, const ModelFile& model,
                             std::vector<TensorToWrite> tensors, const FileMetadata& more_metadata);

}  // namespace melisma
