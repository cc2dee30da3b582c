// HuBERT weights as they are found in the world, and the network made of them.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "models/content/hubert.h"
#include "models/weights/model_file.h"

namespace melisma {

// The weights file that `name_or_path` means: a file or a folder as Hugging Face lays it out (model.safetensors or
// pytorch_model.bin), by its path or by its name in the folder of weights. Error(config) that says what to give for an
// empty name, Error(checkpoint) where there is nothing.
[[nodiscard]] std::filesystem::path locate_weights(const std::string& name_or_path);

// A tensor's name as Hugging Face's HubertModel has it: prefixes of enclosing models ("hubert.", "w2v_model.", ...) are
// taken off, fairseq's names translated. Empty for what encoding does not use (mask and label embeddings, CTC heads). A
// name of neither spelling comes back as it is.
[[nodiscard]] std::string hubert_name(std::string_view name);

// Weights under those names, what is not used left out. Error(checkpoint) if two tensors have the same name then.
[[nodiscard]] StateDict with_hubert_names(const StateDict& weights);

// The configuration that the shapes of `weights` (with_hubert_names) tell, completed by `config_json`, the text of a
// config.json of Hugging Face; empty = none is there: heads are then 64 wide and strides those of HuBERT. Throws
// Error(checkpoint) for weights or settings of another architecture, saying what was expected and what was found.
[[nodiscard]] HubertConfig hubert_config_of(const StateDict& weights, std::string_view config_json);

// A network ready for use on `device`, of .safetensors, pytorch_model.bin or fairseq's .pt; a config.json beside the
// file is read if there is one. Every error is an Error(checkpoint) that names the file and the tensor; nothing in it
// is executed.
[[nodiscard]] std::unique_ptr<Hubert> load_hubert(const std::filesystem::path& file,
                                                  at::ScalarType arithmetic = at::kFloat, at::Device device = at::kCPU);

}  // namespace melisma
