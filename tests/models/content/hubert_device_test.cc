// HuBERT on a device: LibTorch's own operations give what the CPU's kernels give, and nothing stays in the CPU's
// memory.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "models/content/hubert_file.h"
#include "models/layers/device.h"
#include "tests/support/pretend_device.h"
#include "tests/support/small_hubert.h"

namespace melisma {
namespace {
using testing::drawn_hubert;
using testing::noise_wave;
using testing::small_hubert_config;

// As large as what it is compared with, for sums in another order.
void expect_close(const at::Tensor& found, const at::Tensor& expected, double tolerance = 2e-4) {
  ASSERT_EQ(found.sizes(), expected.sizes());
  const auto largest = expected.abs().max().item<double>();
  EXPECT_LT((found.cpu() - expected).abs().max().item<double>(), tolerance * largest);
}

// Two clips, of which the second has hardly more than a frame.
const std::vector<std::vector<float>>& clips() {
  static const std::vector<std::vector<float>> all{noise_wave(16000, 1), noise_wave(700, 2)};
  return all;
}

std::vector<at::Tensor> heard_by(const Hubert& network, const HubertOutput& output) {
  const std::vector<std::span<const float>> waves(clips().begin(), clips().end());
  return network(waves, output);
}

TEST(HubertOnADevice, ConvolutionsAreThoseOfTheCpusKernels) {
  for (const bool has_bias : {false, true}) {
    auto config = small_hubert_config();
    config.conv_bias = has_bias;
    ConvolutionStack stack(config, at::kFloat);
    auto generator = at::detail::createCPUGenerator(5);
    for (const auto& [name, tensor] : stack.state_dict()) {
      tensor.copy_(at::randn(tensor.sizes(), generator, at::kFloat) * 0.5);
    }
    stack.fold(true);
    for (const auto& wave : clips()) {
      const auto samples = at::from_blob(const_cast<float*>(wave.data()), {std::ssize(wave)}, at::kFloat);
      expect_close(stack.plain(samples), stack(wave));
    }
  }
}

TEST(HubertOnADevice, PositionsAreThoseOfTheCpusKernels) {
  const auto config = small_hubert_config();
  PositionalConvolution positions(config);
  auto generator = at::detail::createCPUGenerator(6);
  for (const auto& [name, tensor] : positions.state_dict()) {
    tensor.copy_(at::randn(tensor.sizes(), generator, at::kFloat));
  }
  positions.fold(true);
  const auto x = at::randn({90, config.hidden}, generator, at::kFloat);
  const std::vector<std::int64_t> lengths{57, 1, 32};
  expect_close(positions.plain(x, lengths), positions(x, lengths));
}

TEST(HubertOnADevice, ALayerIsThatOfTheCpusKernels) {
  const auto config = small_hubert_config();
  HubertLayer layer(config, at::kFloat);
  auto generator = at::detail::createCPUGenerator(7);
  for (const auto& [name, tensor] : layer.state_dict()) {
    tensor.copy_(at::randn(tensor.sizes(), generator, at::kFloat) * 0.2);
  }
  layer.set_requires_grad(false);
  layer.fold(true);
  const auto x = at::randn({40, config.hidden}, generator, at::kFloat);
  const std::vector<std::int64_t> lengths{25, 15};
  HubertScratch scratch(config, 40);
  expect_close(layer.plain(x, lengths), layer(x, lengths, scratch));
}

TEST(HubertOnADevice, AFileLoadedThereGivesTheCpusFeatures) {
  if (!testing::has_pretend_devices()) GTEST_SKIP() << "a GPU is in sight; hide it with CUDA_VISIBLE_DEVICES=";
  const testing::TemporaryFolder folder;
  const auto file = testing::write_hubert(folder / "small.safetensors", *drawn_hubert());
  const auto here = load_hubert(file), there = load_hubert(file, at::kFloat, testing::pretend_device(1));
  for (const auto& output : {HubertOutput{2, false}, HubertOutput{1, true}}) {
    const auto expected = heard_by(*here, output), found = heard_by(*there, output);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].device(), testing::pretend_device(1));
      expect_close(found[i], expected[i]);
    }
  }
}

TEST(GpuHubert, GivesTheCpusFeatures) {
  if (cuda_state().n_devices == 0) GTEST_SKIP() << cuda_state().problem;
  const testing::TemporaryFolder folder;
  const auto file = testing::write_hubert(folder / "small.safetensors", *drawn_hubert());
  const auto here = load_hubert(file);
  for (const auto device : open_devices("cuda")) {
    const auto there = load_hubert(file, at::kFloat, device);
    const auto expected = heard_by(*here, {2, false}), found = heard_by(*there, {2, false});
    for (std::size_t i = 0; i < found.size(); ++i) expect_close(found[i], expected[i], 5e-3);
  }
}

}  // namespace
}  // namespace melisma
