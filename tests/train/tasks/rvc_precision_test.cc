// Training in bfloat16 where the CPU multiplies it, and the refusal where it does not.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/layers/packed_matrix.h"
#include "tests/train/tasks/speech_training.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "train/engine/precision.h"

namespace melisma {
namespace {
using testing::speech_dataset;
using testing::SpeechRun;
using testing::TemporaryFolder;
using testing::tiny_settings;

std::vector<std::string> settings_in(const std::string& precision) {
  auto settings = tiny_settings("hifigan");
  settings.push_back("trainer.precision=" + precision);
  return settings;
}

TEST(Precision, RoundsTheFactorsOfProductsOnlyWhileItIsAsked) {
  const auto weight = at::randn({4, 4}).requires_grad_();
  const auto x = at::randn({4, 4});
  {
    const PrecisionScope rounded("bf16");
    const auto product = at::mm(x, weight);
    EXPECT_EQ(product.scalar_type(), at::kBFloat16);
    product.sum().backward();
  }
  EXPECT_EQ(weight.grad().scalar_type(), at::kFloat);
  const PrecisionScope plain("fp32");
  EXPECT_EQ(at::mm(x, weight).scalar_type(), at::kFloat);
}

TEST(Precision, IsRefusedWhereTheCpuDoesNotMultiplyIt) {
  EXPECT_NO_THROW(require_precision("fp32"));
  if (cpu_multiplies_bf16()) {
    EXPECT_NO_THROW(require_precision("bf16"));
    return;
  }
  const TemporaryFolder folder;
  try {
    const SpeechRun run(speech_dataset(folder / "speech.h5"), settings_in("bf16"));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_NE(std::string(error.what()).find("trainer.precision"), std::string::npos) << error.what();
  }
}

TEST(Precision, LossesStayCloseAndParametersStayWide) {
  if (!cpu_multiplies_bf16()) GTEST_SKIP() << "this CPU does not multiply bfloat16";
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  SpeechRun wide(dataset, settings_in("fp32")), rounded(dataset, settings_in("bf16"));
  const auto batch = wide.composed.loader->batch(1, 0);
  const StepContext context(1, 1, 0, 0);
  for (std::size_t network = 0; network < 2; ++network) {
    if (network == 0) wide.task().begin_step({&batch, 1}), rounded.task().begin_step({&batch, 1});
    const auto expected = wide.task().losses(network, batch, context);
    const PrecisionScope scope("bf16");
    const auto found = rounded.task().losses(network, batch, context);
    EXPECT_EQ(found.total.scalar_type(), at::kFloat);
    EXPECT_NE(found.total.item<double>(), expected.total.item<double>());
    EXPECT_NEAR(found.total.item<double>() / expected.total.item<double>(), 1, 0.02) << network;
    found.total.backward();
  }
  for (const auto& [name, parameter] : rounded.task().generator().parameters()) {
    EXPECT_EQ(parameter.scalar_type(), at::kFloat) << name;
    if (!parameter.grad().defined()) continue;
    EXPECT_EQ(parameter.grad().scalar_type(), at::kFloat) << name;
  }
}

TEST(Precision, ResumesBitForBitInBfloat16) {
  if (!cpu_multiplies_bf16()) GTEST_SKIP() << "this CPU does not multiply bfloat16";
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  SpeechRun straight(dataset, settings_in("bf16")), first(dataset, settings_in("bf16")),
      second(dataset, settings_in("bf16"));
  straight.train(folder / "straight", 2);
  first.train(folder / "halves", 1);
  first.trainer.reset();
  second.train(folder / "halves", 2, /*resumes=*/true);
  for (const auto* file : {"model.safetensors", "optimizer.safetensors"}) {
    EXPECT_EQ(read_file(straight.trainer->checkpoints().back().folder / file),
              read_file(second.trainer->checkpoints().back().folder / file))
        << file;
  }
}

TEST(SlowPrecision, TwoHundredStepsEndWithinFivePercentOfFp32) {
  if (!cpu_multiplies_bf16()) GTEST_SKIP() << "this CPU does not multiply bfloat16";
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  std::vector<double> scores;
  for (const auto* precision : {"fp32", "bf16"}) {
    auto settings = settings_in(precision);
    settings.emplace_back("trainer.validate_every=off");
    SpeechRun run(dataset, settings);
    run.train(folder / precision, 67);
    EXPECT_EQ(run.trainer->state().step, 201);
    scores.push_back(run.task().validate(67, 201, run.sink).front().second);
  }
  EXPECT_NEAR(scores[1] / scores[0], 1, 0.05) << scores[0] << " in fp32, " << scores[1] << " in bf16";
}

}  // namespace
}  // namespace melisma
