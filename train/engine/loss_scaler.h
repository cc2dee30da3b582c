// Losses made larger before the backward pass, so that small gradients do not vanish in fp16, as large as they fit.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <vector>

namespace melisma {

// One step:
//
//   (scaler.scaled(loss)).backward();
//   bad = bad.logical_or(scaler.unscale(gradients));   // each network's turn
//   scaler.end_step(bad);
//
// A bad step halves the scale, kGrowthSteps good ones after each other double it (Micikevicius et al. 2018). Everything
// stays on the device: nobody waits for it. One that is off changes nothing and costs nothing.
class LossScaler {
 public:
  static constexpr double kFirst = 65536, kLeast = 1, kMost = 16777216;
  static constexpr std::int64_t kGrowthSteps = 2000;

  LossScaler() = default;  // off
  explicit LossScaler(at::Device device);
  [[nodiscard]] bool is_on() const { return scale_.defined(); }

  [[nodiscard]] at::Tensor scaled(const at::Tensor& loss) const;  // [] -> []
  // Divides the gradients by the scale in place. -> [] bool: whether one of them is not finite.
  [[nodiscard]] at::Tensor unscale(const std::vector<at::Tensor>& gradients) const;
  // Whether a bad step may be the scale's doing, [] bool: a smaller one is left to try.
  [[nodiscard]] at::Tensor can_shrink() const;
  void end_step(const at::Tensor& bad);

  // What a checkpoint keeps; reading it waits for the device. Of one that is off: 1 and 0.
  [[nodiscard]] double scale() const;
  [[nodiscard]] std::int64_t good_steps() const;  // since the scale changed
  void restore(double scale, std::int64_t good_steps);

 private:
  at::Tensor scale_;       // [1]
  at::Tensor good_steps_;  // [1] int32
};

}  // namespace melisma
