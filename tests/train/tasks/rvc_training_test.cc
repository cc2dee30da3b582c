#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "tests/support/rvc_golden.h"
#include "train/engine/optimizer.h"
#include "train/engine/schedule.h"
#include "train/tasks/rvc_task.h"

namespace melisma {
namespace {

using testing::formula_tensor;
using testing::golden_folder;
using testing::GoldenFile;
using testing::near_all;
using testing::tensor_of;

// Hands out the recorded random numbers of the step.
class RecordedNoise final : public NoiseSource {
 public:
  explicit RecordedNoise(std::vector<TrainingNoise> steps) : steps_(std::move(steps)) {}
  TrainingNoise draw(const RvcConfig&, std::int64_t, std::int64_t, const StepContext& context) const override {
    return steps_.at(static_cast<std::size_t>(context.step()));
  }

 private:
  std::vector<TrainingNoise> steps_;
};

// One of the peers' recorded trainings and what is needed to repeat it.
struct RecordedTraining {
  GoldenFile numbers;
  RvcSettings settings;
  std::vector<Batch> batches;  // used in turn
  std::vector<TrainingNoise> noise;
  std::vector<std::string> ill_conditioned;

  [[nodiscard]] std::int64_t steps() const { return numbers.at("log").shape[0]; }
  [[nodiscard]] double logged(std::int64_t step, const std::string& column) const {
    const auto columns = numbers.json("log_columns").get<std::vector<std::string>>();
    const auto at = std::find(columns.begin(), columns.end(), column) - columns.begin();
    return numbers.at("log").values[static_cast<std::size_t>(step * std::ssize(columns) + at)];
  }
};

Batch recorded_batch(const GoldenFile& numbers, const std::string& name, const RvcConfig& model, at::Tensor content) {
  const auto in = [&](const char* part) { return tensor_of(numbers.at(name + part)); };
  const auto lengths = in(".spec_lengths"), wave = in(".wave").to(at::kFloat) / 32768.0;
  const auto n = lengths.size(0), frames = content.size(1);
  const auto spectrum = at::zeros({n, model.spectrum_bins(), frames});
  for (std::int64_t row = 0; row < n; ++row) {
    const auto length = lengths[row].item<std::int64_t>();
    const auto own = linear_spectrogram(wave[row].narrow(1, 0, length * model.hop), vocoder_mel(model));
    spectrum[row].narrow(1, 0, length).copy_(own[0]);
  }
  Batch batch;
  batch.n_items = n;
  batch.add("content", std::move(content));
  batch.add("lengths", lengths);
  batch.add("coarse_pitch", in(".pitch"));
  batch.add("f0", in(".pitchf"));
  batch.add("speaker", in(".sid"));
  batch.add("wave", wave);
  batch.add("spectrum", spectrum);
  return batch;
}

RecordedTraining load_recorded(const std::string& file) {
  RecordedTraining training{GoldenFile::load(golden_folder("rvc") / file), {}, {}, {}, {}};
  auto& settings = training.settings;
  settings.model = testing::rvc_config_of(training.numbers.json("config"), 768);
  settings.model.n_mels = 125;
  settings.generator_optimizer = settings.discriminator_optimizer = {};
  return training;
}

// Repeats the recorded steps and compares losses, gradient norms and weights.
struct TrainingTolerances {
  double first_log, later_log;  // relative, of the first step's log and of later ones
  double gradient;              // relative, of gradient norms
  double weight;                // absolute
};

void expect_same_training(const RecordedTraining& training, RvcTask& task, const TrainingTolerances& tolerances) {
  const auto& numbers = training.numbers;
  const auto networks = task.networks();
  std::vector<AdamW> optimizers;
  optimizers.reserve(2);
  optimizers.emplace_back(*networks[0].module, training.settings.discriminator_optimizer);
  optimizers.emplace_back(*networks[1].module, training.settings.generator_optimizer);
  const auto steps_per_epoch = std::stoll(numbers.metadata.at("steps_per_epoch"));
  const auto keys_of = [&](std::size_t network) {
    return numbers.json(network == 0 ? "d_keys" : "g_keys").get<std::vector<std::string>>();
  };
  // L2 norms of all tensors `get` gives against column 2 of `group`.
  const auto expect_norms = [&](const std::string& group, std::size_t network, bool gradients, double absolute,
                                double relative) {
    const auto& stats = numbers.at(group + (network == 0 ? ".d.stats" : ".g.stats"));
    const auto& heads = numbers.at(group + (network == 0 ? ".d.head8" : ".g.head8"));
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, tensor] : networks[network].module->parameters()) {
      tensors[name] = gradients ? tensor.grad() : tensor.detach();
    }
    const auto keys = keys_of(network);
    ASSERT_EQ(keys.size(), tensors.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (keys[i].ends_with("conv_k.bias")) continue;  // zero in exact arithmetic: rounding noise
      const auto norm = tensors.at(keys[i]).to(at::kDouble).norm().item<double>();
      const auto expected = stats.values[3 * i + 2];
      // One number, the sum of both signs over every sample of the batch: what is left keeps two digits in fp32.
      const bool cancels = gradients && keys[i] == "dec.m_source.l_linear.bias";
      EXPECT_NEAR(norm, expected, absolute + (cancels ? std::max(relative, 1e-2) : relative) * expected)
          << group << " " << keys[i];
      if (gradients) continue;
      auto head = testing::values_of(tensors.at(keys[i]).flatten().slice(0, 0, 8));
      head.resize(8, 0);
      const std::span<const double> row(heads.values.data() + 8 * i, 8);
      EXPECT_TRUE(near_all(row, head, absolute)) << group << " " << keys[i];
    }
  };
  for (std::int64_t step = 0; step < training.steps(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step + 1));
    const auto tolerance = step == 0 ? tolerances.first_log : tolerances.later_log;
    const auto expect = [&](const char* column, double got) {
      const auto expected = training.logged(step, column);
      EXPECT_NEAR(got, expected, tolerance * std::abs(expected)) << column;
    };
    const auto epoch = 1 + step / steps_per_epoch;
    const auto& batch = training.batches[static_cast<std::size_t>(step) % training.batches.size()];
    const StepContext context(1, epoch, step, 0);
    task.begin_step({&batch, 1});
    for (std::size_t network = 0; network < 2; ++network) {
      optimizers[network].zero_grad();
      const auto losses = task.losses(network, batch, context);
      losses.total.backward();
      const auto norm = optimizers[network].gradient_norm();
      expect(network == 0 ? "loss_disc" : "loss_total", losses.total.item<double>());
      expect(network == 0 ? "grad_norm_d" : "grad_norm_g", norm.item<double>());
      for (const auto& [name, value] : losses.terms) {
        if (name == "mel") expect("loss_mel", 45 * value.item<double>());
        if (name == "kl") expect("loss_kl", value.item<double>());
        if (name == "feature") expect("loss_fm", 2 * value.item<double>());
        if (name == "adversarial") expect("loss_gen", value.item<double>());
      }
      if (step == 0)
        expect_norms("grad1", network, true, 5e-8, tolerances.gradient);  // sums that cancel keep 5e-8 of rounding
      const auto lr = learning_rate(training.settings.generator_optimizer, epoch, step, steps_per_epoch);
      EXPECT_NEAR(lr, training.logged(step, "lr_used"), 1e-12);
      optimizers[network].step(lr, at::zeros({}, at::kBool));
      if (step == 0) expect_norms("after1", network, false, tolerances.weight, 1e-6);
    }
  }
  for (std::size_t network = 0; network < 2 && numbers.has("afterN.d.stats"); ++network) {
    expect_norms("afterN", network, false, 5e-6, 1e-6);
  }
}

TEST(GoldenRvcTraining, FiveStepsOfATinyNetworkFollowTheRvcTools) {
  if (!std::filesystem::exists(golden_folder("rvc") / "train_tiny.safetensors")) GTEST_SKIP() << "no golden/rvc";
  auto training = load_recorded("train_tiny.safetensors");
  const auto& numbers = training.numbers;
  training.settings.discriminator = {"v2", std::stoll(numbers.metadata.at("sdiv")),
                                     std::stoll(numbers.metadata.at("pdiv"))};
  for (const char* name : {"batch0", "batch1"}) {
    training.batches.push_back(
        recorded_batch(numbers, name, training.settings.model, tensor_of(numbers.at(std::string(name) + ".phone"))));
  }
  for (std::int64_t step = 0; step < training.steps(); ++step) {
    const auto group = "rnd" + std::to_string(step);
    training.noise.push_back({tensor_of(numbers.at(group + ".z")), tensor_of(numbers.at(group + ".slice")),
                              tensor_of(numbers.at(group + ".src"))});
  }
  RvcTask task(training.settings, {}, nullptr, {}, {}, std::make_unique<RecordedNoise>(training.noise));
  task.generator().load(testing::weights_of(GoldenFile::load(golden_folder("rvc") / "train_tiny.g.safetensors")));
  task.discriminator().load(testing::weights_of(GoldenFile::load(golden_folder("rvc") / "train_tiny.d.safetensors")));
  expect_same_training(training, task, {1e-5, 1e-4, 1e-4, 1e-6});
}

TEST(SlowGoldenRvcTraining, TwoStepsOfTheFullSizeNetworkFollowTheRvcTools) {
  if (!std::filesystem::exists(golden_folder("rvc") / "train_full_v2_40k.safetensors")) GTEST_SKIP() << "no golden/rvc";
  auto training = load_recorded("train_full_v2_40k.safetensors");
  const auto content = formula_tensor("full/train.phone", {2, 40, 768});
  content[1].slice(0, 36).zero_();
  training.batches.push_back(recorded_batch(training.numbers, "batch0", training.settings.model, content));
  const auto root3 = std::sqrt(3.0);
  const std::vector<at::Tensor> slices{at::tensor({0.31f, 0.77f}), at::tensor({0.92f, 0.05f})};
  for (std::size_t step = 0; step < 2; ++step) {
    const auto index = std::to_string(step);
    training.noise.push_back({formula_tensor("full/train.z" + index, {2, 192, 40}, root3), slices[step],
                              formula_tensor("full/train.src" + index, {2, 12800, 1}, root3)});
  }
  RvcTask task(training.settings, {}, nullptr, {}, {}, std::make_unique<RecordedNoise>(training.noise));
  testing::fill_by_formula(task.generator(), "full/");
  testing::fill_by_formula(task.discriminator(), "full/");
  // Among 36 M gradients some are zero but for rounding, which AdamW turns into a step of the size of lr; the peers'
  // own runs with one and two threads differ by as much.
  expect_same_training(training, task, {5e-5, 5e-5, 2e-3, 2.5e-4});
}

TEST(RvcTask, TheGeneratorsTurnLeavesTheDiscriminatorWithoutGradient) {
  if (!std::filesystem::exists(golden_folder("rvc") / "train_tiny.safetensors")) GTEST_SKIP() << "no golden/rvc";
  auto training = load_recorded("train_tiny.safetensors");
  training.settings.discriminator = {"v2", 16, 32};
  const auto batch = recorded_batch(training.numbers, "batch0", training.settings.model,
                                    tensor_of(training.numbers.at("batch0.phone")));
  RvcTask task(training.settings, {}, nullptr, {}, {});
  const StepContext context(1, 1, 0, 0);
  task.begin_step({&batch, 1});
  (void)task.losses(0, batch, context);
  task.losses(1, batch, context).total.backward();
  for (const auto& [name, tensor] : task.discriminator().parameters()) EXPECT_FALSE(tensor.grad().defined()) << name;
  for (const auto& [name, tensor] : task.generator().parameters()) EXPECT_TRUE(tensor.grad().defined()) << name;
}

}  // namespace
}  // namespace melisma
