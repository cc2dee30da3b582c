// Training that keeps fewer activations: the same losses and gradients.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/train/tasks/speech_training.h"

namespace melisma {
namespace {
using testing::SpeechRun;

// A step's losses, and the generator's gradients.
struct Step {
  std::vector<double> losses;
  std::vector<at::Tensor> gradients;
};

Step step_of(SpeechRun& run) {
  const auto batch = run.composed.loader->batch(1, 0);
  const StepContext context(1, 1, 0, 0);
  run.task().begin_step({&batch, 1});
  Step step;
  for (std::size_t network = 0; network < 2; ++network) {
    const auto losses = run.task().losses(network, batch, context);
    step.losses.push_back(losses.total.item<double>());
    losses.total.backward();
  }
  for (const auto& [name, tensor] : run.task().generator().parameters()) step.gradients.push_back(tensor.grad());
  return step;
}

TEST(RvcRecompute, LossesAndGradientsAreThePlainOnes) {
  for (const auto* vocoder : {"hifigan", "mrf", "refinegan"}) {
    const testing::TemporaryFolder folder;
    const auto dataset = testing::speech_dataset(folder / "speech.h5");
    auto settings = testing::tiny_settings(vocoder);
    SpeechRun plain(dataset, settings);
    settings.emplace_back("trainer.checkpoint_activations=true");
    SpeechRun again(dataset, settings);
    const auto expected = step_of(plain), found = step_of(again);
    EXPECT_EQ(found.losses, expected.losses) << vocoder;
    ASSERT_EQ(found.gradients.size(), expected.gradients.size());
    for (std::size_t i = 0; i < found.gradients.size(); ++i) {
      ASSERT_EQ(found.gradients[i].defined(), expected.gradients[i].defined()) << vocoder << ' ' << i;
      if (!found.gradients[i].defined()) continue;
      EXPECT_TRUE(at::allclose(found.gradients[i], expected.gradients[i], 1e-4, 1e-6)) << vocoder << ' ' << i;
    }
  }
}

}  // namespace
}  // namespace melisma
