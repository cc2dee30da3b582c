// The judges of adversarial training: one discriminator on the waveform, one a period, and in v3 some on spectra.
#pragma once
#include <vector>

#include "models/layers/layers.h"
#include "models/rvc/config.h"

namespace melisma {

// One sub-discriminator's opinion of B waves.
struct Judgement {
  at::Tensor logits;                 // [B, n]; 1 = real, 0 = made
  std::vector<at::Tensor> features;  // outputs of every layer, the logits' included; dimension 0 is B
};
using Judgements = std::vector<Judgement>;

// Rows first..first + count of every tensor: the opinions on a part of the batch.
[[nodiscard]] Judgements judgements_of(const Judgements& all, std::int64_t first, std::int64_t count);
[[nodiscard]] Judgements detached(const Judgements& judgements);

// How the period discriminators compute; results are the same but for rounding.
enum class PeriodLayout {
  matrices,  // as matrix products over [position, channels]: twice as fast on CPUs
  planes,    // as two-dimensional convolutions over [channels, position, phase], the RVC tools' way
};

class SubDiscriminator : public Module {
 public:
  [[nodiscard]] virtual Judgement judge(const at::Tensor& wave) const = 0;  // [B, 1, N]
};

// Names, order and shapes of the parameters are those of the RVC tools' discriminators ("discriminators.N...").
class Discriminator final : public Module {
 public:
  explicit Discriminator(const RvcDiscriminatorConfig& config, PeriodLayout layout = PeriodLayout::matrices);
  [[nodiscard]] Judgements operator()(const at::Tensor& wave) const;  // [B, 1, N] in [-1, 1]

 private:
  std::vector<Owned<SubDiscriminator>> parts_;
};

}  // namespace melisma
