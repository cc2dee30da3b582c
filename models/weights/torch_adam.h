// The state of PyTorch's Adam and AdamW in a training checkpoint: moments by the number of a parameter, and by its
// name.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/weights/pickle_value.h"
#include "models/weights/state_dict.h"

namespace melisma {

// What the one parameter group says. `initial_lr` is what a schedule started with; a group without one never had any.
struct TorchAdamSettings {
  double lr = 1e-4;
  std::optional<double> initial_lr;
  double beta1 = 0.8, beta2 = 0.99, eps = 1e-9, weight_decay = 0.01;
};

// state_dict() of an optimizer over parameters numbered 0, 1, ... in the order its module registered them.
struct TorchAdam {
  struct Moments {
    at::Tensor exp_avg, exp_avg_sq;  // shape of the parameter
    double step = 0;
  };
  TorchAdamSettings settings;
  std::vector<std::optional<Moments>> parameters;  // nothing = never stepped

  [[nodiscard]] bool has_moments() const;
};

// Throws Error(checkpoint) for anything but one group of Adam or AdamW: other optimizers, several groups, amsgrad,
// numbers that are none of its parameters'.
[[nodiscard]] TorchAdam torch_adam_of(const PickleValue& optimizer);

// Why `adam` is not the optimizer of these parameters, in this order: a number of them, or the first shape that
// differs. Empty if it may be.
[[nodiscard]] std::string misfit(const TorchAdam& adam, const StateDict& parameters);

// "<parameter>/exp_avg", "<parameter>/exp_avg_sq", "<parameter>/step" [] of every parameter as float32; zeros where it
// never stepped. Throws Error(checkpoint) if misfit() has something to say.
[[nodiscard]] StateDict moments_by_name(const TorchAdam& adam, const StateDict& parameters);

// The reverse: the value of "optimizer" as torch.save writes it and load_state_dict() of torch.optim.AdamW takes it.
// Parameters whose step is 0 have no entry. Throws Error(checkpoint) if `moments` lacks a parameter of `order`.
[[nodiscard]] PickleValue torch_adam_value(const StateDict& moments, std::span<const std::string> order,
                                           const TorchAdamSettings& settings);

}  // namespace melisma
