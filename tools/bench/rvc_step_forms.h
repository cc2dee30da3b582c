// The RVC training step with each of its economies as a switch: all off is the step as Applio takes it, all on the
// mathematics of this program's trainer. The results differ by rounding only.
#pragma once
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "models/rvc/discriminator.h"
#include "train/engine/optimizer.h"
#include "train/tasks/rvc_task.h"

namespace melisma {

struct StepForm {
  bool frozen_judge = true;
  bool judged_together = true;
  bool plain_real = true;
  bool period_matrices = true;
  bool folded_weights = true;
  bool fused_optimizer = true;
  bool one_mel = true;
  bool late_reading = true;
  bool reused_memory = true;
};

struct StepSwitch {
  std::string_view name, summary;
  bool StepForm::*member;
};

inline constexpr std::array kStepSwitches{
    StepSwitch{"frozen discriminator", "no gradients of its weights in the generator's turn", &StepForm::frozen_judge},
    StepSwitch{"one pass", "recorded and made audio judged as one batch in the discriminator's turn",
               &StepForm::judged_together},
    StepSwitch{"plain real side", "no graph through the recorded audio's features in the generator's turn",
               &StepForm::plain_real},
    StepSwitch{"period matrices", "period discriminators as matrix products over [position, channels]",
               &StepForm::period_matrices},
    StepSwitch{"folded weights", "the discriminator's weight norms folded once for the generator's turn",
               &StepForm::folded_weights},
    StepSwitch{"fused AdamW", "the optimizer in one pass over each tensor", &StepForm::fused_optimizer},
    StepSwitch{"one mel", "the log has the loss's mel distance, not one of its own", &StepForm::one_mel},
    StepSwitch{"late reading", "numbers for the log are read after the step, not in it", &StepForm::late_reading},
    StepSwitch{"reused memory", "large tensors take blocks that others left, not fresh pages from the system",
               &StepForm::reused_memory},
};

inline constexpr StepForm kAllSwitchesOff{false, false, false, false, false, false, false, false, false};

// The losses of one step, by which ways to take it are checked against each other.
struct StepLosses {
  double discriminator = 0, generator = 0;
};

// Inputs of one step of `batch` clips of `frames` frames, random and always the same.
[[nodiscard]] Batch random_step_batch(const RvcConfig& model, std::int64_t batch, std::int64_t frames);

// AdamW as torch.optim runs it on the CPU: a handful of operations a tensor, one tensor after the other.
class PlainAdamW {
 public:
  explicit PlainAdamW(const Module& module);
  void zero_grad();
  [[nodiscard]] at::Tensor gradient_norm() const;
  void step(const OptimizerConfig& config);

 private:
  struct Slot {
    at::Tensor parameter, mean, square;
  };
  std::vector<Slot> slots_;
  double steps_ = 0;
};

// Takes steps in any form, on the generator of `task` and discriminators that begin as its own.
class FormedStep {
 public:
  FormedStep(RvcTask& task, const RvcSettings& settings, const StepForm& form = kAllSwitchesOff);
  void set_form(const StepForm& form) { form_ = form; }
  StepLosses operator()(const Batch& batch, const StepContext& context);

 private:
  struct Optimizers {  // of one network, made when first used
    const Module& network;
    const OptimizerConfig& config;
    std::optional<PlainAdamW> plain = {};
    std::optional<AdamW> fused = {};
  };
  [[nodiscard]] Discriminator& judge() { return form_.period_matrices ? by_matrices_ : by_planes_; }
  [[nodiscard]] at::Tensor discriminator_loss_of(const at::Tensor& recorded, const at::Tensor& made);
  [[nodiscard]] Judgements opinion_on_recorded(const at::Tensor& recorded);
  [[nodiscard]] at::Tensor generator_loss_of(const TrainingOutput& out, const at::Tensor& recorded);
  void optimize(Optimizers& of, const at::Tensor& loss);

  RvcTask& task_;
  const RvcSettings& settings_;
  StepForm form_;
  Discriminator by_matrices_, by_planes_;
  Optimizers of_matrices_, of_planes_, of_generator_;
};

}  // namespace melisma
