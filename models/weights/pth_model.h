// Which kind of PyTorch file this is - a voice model, a training checkpoint, bare weights - and its weights.
#pragma once
#include "models/weights/model_file.h"
#include "models/weights/pickle_value.h"

namespace melisma {

// Kinds, told by their keys:
//   "weight" {tensors}, config, sr, f0, version, ...   a voice model; layout "applio", "webui" or "ddpn08"
//   "model" {tensors}, iteration, optimizer, ...       a training checkpoint; layout "applio-checkpoint" or
//                                                      "webui-checkpoint"
//   "state_dict" / "params" {tensors}, or a dict of tensors alone      bare weights; layout "pytorch"
// What the file says beside tensors and optimizer state is in ModelFile::contents. Throws Error(checkpoint) if there
// are no weights.
[[nodiscard]] ModelFile model_from_pth(const PickleValue& root);

}  // namespace melisma
