// RVC training on a GPU: pretended ones show that nothing is left in the CPU's memory and that nobody waits, real ones
// (Gpu*) that the numbers are those of the CPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/layers/device.h"
#include "tests/support/pretend_device.h"
#include "tests/train/tasks/speech_training.h"
#include "train/tasks/rvc_loader.h"

namespace melisma {
namespace {
using testing::pretend_device;
using testing::speech_dataset;
using testing::SpeechRun;
using testing::TemporaryFolder;
using testing::tiny_settings;

std::vector<std::string> settings_of(const std::string& vocoder, const std::vector<std::string>& more = {}) {
  auto settings = tiny_settings(vocoder);
  settings.emplace_back("trainer.log_every=1 steps");
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

// Losses and the held-out score of a run on `device`.
std::map<std::string, std::vector<double>> values_of(SpeechRun& run, at::Device device,
                                                     const std::filesystem::path& folder) {
  run.composed.plan.device = device;
  run.train(folder, 2);
  std::map<std::string, std::vector<double>> values;
  for (const auto* name : {"loss/generator", "loss/discriminator", "loss/mel", "loss/kl", "grad_norm/generator",
                           "grad_norm/discriminator", "validation/mel_distance"}) {
    values[name] = run.sink.values(name);
  }
  return values;
}

void expect_close(const std::map<std::string, std::vector<double>>& found,
                  const std::map<std::string, std::vector<double>>& expected, double tolerance) {
  for (const auto& [name, values] : expected) {
    ASSERT_EQ(found.at(name).size(), values.size()) << name;
    EXPECT_FALSE(values.empty()) << name;
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(found.at(name)[i] / values[i], 1, tolerance) << name << ' ' << i;
    }
  }
}

class RvcOnADevice : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!testing::has_pretend_devices()) GTEST_SKIP() << "a GPU is in sight; hide it with CUDA_VISIBLE_DEVICES=";
  }
};
INSTANTIATE_TEST_SUITE_P(Vocoder, RvcOnADevice, ::testing::Values("hifigan", "mrf", "refinegan"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(RvcOnADevice, TrainsAndScoresAsOnTheCpu) {
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  SpeechRun here(dataset, settings_of(GetParam())), there(dataset, settings_of(GetParam()));
  const auto expected = values_of(here, at::kCPU, folder / "cpu");
  const auto found = values_of(there, pretend_device(1), folder / "device");
  for (const auto& [name, tensor] : there.task().generator().parameters()) {
    EXPECT_EQ(tensor.device(), pretend_device(1)) << name;
  }
  expect_close(found, expected, 1e-3);
}

TEST_P(RvcOnADevice, NobodyWaitsForAStep) {
  const TemporaryFolder folder;
  SpeechRun run(speech_dataset(folder / "speech.h5"), settings_of(GetParam(), {"trainer.validate_every=off"}));
  run.composed.plan.device = pretend_device();
  run.train(folder / "run", 1);  // moves the networks there
  const auto batch = run.composed.loader->batch(1, 0).to(pretend_device());
  const auto before = testing::n_reads_of_pretend_devices();
  run.task().begin_step({&batch, 1});
  for (std::size_t network = 0; network < 2; ++network) {
    run.task().losses(network, batch, StepContext(1, 1, 0, 0)).total.backward();
  }
  EXPECT_EQ(testing::n_reads_of_pretend_devices(), before);
}

TEST(RvcOnPretendedGpus, ClipsThatAreKeptThereAreBatchedThere) {
  if (!testing::has_pretend_devices()) GTEST_SKIP() << "a GPU is in sight; hide it with CUDA_VISIBLE_DEVICES=";
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  SpeechRun run(dataset, settings_of("hifigan"));
  const auto& settings = run.recipe.settings();
  const auto pieces = cut_into_pieces(dataset->clips_of(Split::train), settings);
  const RvcLoader here(dataset, settings, pieces), there(dataset, settings, pieces, {}, pretend_device(1));
  for (const std::int64_t epoch : {1, 2}) {
    const auto expected = here.batch(epoch, 1), made = there.batch(epoch, 1);
    for (const auto& item : made.items()) {
      const bool is_number =
          item.name == "lengths" || item.name == "speaker";  // read by the CPU, or sent with the batch
      EXPECT_EQ(item.tensor.device(), is_number ? at::Device(at::kCPU) : pretend_device(1)) << item.name;
      EXPECT_TRUE(at::equal(item.tensor.cpu(), expected.at(item.name))) << item.name;
    }
  }
}

// Without learning, so that steps that are skipped until the scale fits make no difference.
TEST(RvcOnPretendedGpus, Fp16ScalesItsLossAndStaysClose) {
  if (!testing::has_pretend_devices()) GTEST_SKIP() << "a GPU is in sight; hide it with CUDA_VISIBLE_DEVICES=";
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  const auto settings = settings_of(
      "hifigan", {"generator_optimizer.lr=0", "discriminator_optimizer.lr=0", "trainer.validate_every=off"});
  SpeechRun wide(dataset, settings), narrow(dataset, settings);
  narrow.composed.plan.trainer.precision = "fp16";
  for (auto* run : {&wide, &narrow}) {
    run->composed.plan.device = pretend_device();
    run->train(folder / run->composed.plan.trainer.precision, 4);
  }
  const auto& state = narrow.trainer->state();
  EXPECT_EQ(state.skipped_steps, 0);
  EXPECT_LT(state.overflowed_steps, state.step);
  EXPECT_EQ(state.loss_scale, std::exp2(16.0 - static_cast<double>(state.overflowed_steps)));
  for (const auto* name : {"loss/mel", "loss/kl", "loss/discriminator", "grad_norm/generator"}) {
    EXPECT_NEAR(narrow.sink.values(name).back() / wide.sink.values(name).back(), 1, 0.02) << name;
    EXPECT_NE(narrow.sink.values(name).back(), wide.sink.values(name).back()) << name;
  }
  for (const auto& [name, tensor] : narrow.task().generator().parameters()) {
    EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
  }
}

TEST(GpuRvc, TrainsAndScoresAsOnTheCpu) {
  if (cuda_state().n_devices == 0) GTEST_SKIP() << cuda_state().problem;
  for (const auto* vocoder : {"hifigan", "mrf", "refinegan"}) {
    const TemporaryFolder folder;
    const auto dataset = speech_dataset(folder / "speech.h5");
    SpeechRun here(dataset, settings_of(vocoder, {"trainer.device=cpu"}));
    SpeechRun there(dataset, settings_of(vocoder, {"trainer.device=cuda"}));
    EXPECT_TRUE(there.composed.plan.device.is_cuda());
    expect_close(values_of(there, there.composed.plan.device, folder / "gpu"),
                 values_of(here, at::kCPU, folder / "cpu"), 5e-3);
  }
}

TEST(GpuRvc, EveryPrecisionEndsCloseToFp32) {
  if (cuda_state().n_devices == 0) GTEST_SKIP() << cuda_state().problem;
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  std::map<std::string, double> scores;
  for (const auto* precision : {"fp32", "tf32", "bf16", "fp16"}) {
    SpeechRun run(dataset,
                  settings_of("hifigan", {"trainer.device=cuda", std::string("trainer.precision=") + precision}));
    scores[precision] = values_of(run, run.composed.plan.device, folder / precision)["validation/mel_distance"].back();
    EXPECT_NEAR(scores[precision] / scores["fp32"], 1, 0.03) << precision;
  }
}

}  // namespace
}  // namespace melisma
