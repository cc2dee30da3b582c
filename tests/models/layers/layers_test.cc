#include "models/layers/layers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tools/base/error.h"

namespace melisma {
namespace {

struct Pair final : Module {
  Pair() {
    first = make_child<Conv1d>("first", 3, 4, ConvOptions{.kernel = 3, .padding = 1, .weight_norm = true});
    scale = parameter("scale", at::ones({1}));
    second = make_child<Linear>("second", 4, 2);
    steps = buffer("steps", at::zeros({2}, at::kLong));
  }
  at::Tensor operator()(const at::Tensor& x) const { return (*second)((*first)(x).transpose(1, 2)) * scale; }
  Owned<Conv1d> first;
  Owned<Linear> second;
  at::Tensor scale, steps;
};

at::Generator layers_generator(std::uint64_t seed) { return at::detail::createCPUGenerator(seed); }

at::Tensor layers_input() {
  auto generator = layers_generator(5);
  return at::randn({2, 3, 10}, generator, at::TensorOptions());
}

TEST(Module, NamesComeDepthFirstInRegistrationOrder) {
  Pair pair;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : pair.state_dict()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"first.bias", "first.weight_g", "first.weight_v", "scale", "second.weight",
                                             "second.bias", "steps"}));
  EXPECT_EQ(pair.parameters().size(), 6u);
  EXPECT_EQ(pair.buffers().size(), 1u);
  EXPECT_EQ(pair.n_parameters(), 4 + 4 + 36 + 1 + 8 + 2);
}

TEST(Module, InitialisationDependsOnTheGeneratorAlone) {
  Pair one, two, other;
  auto a = layers_generator(1), b = layers_generator(1), c = layers_generator(2);
  one.initialise(a);
  two.initialise(b);
  other.initialise(c);
  const auto x = layers_input();
  EXPECT_TRUE(at::equal(one(x), two(x)));
  EXPECT_FALSE(at::equal(one(x), other(x)));
  EXPECT_LE(one.second->weight.abs().max().item<double>(), 0.5);
}

TEST(Module, LoadIsStrictAndChangesNothingOnError) {
  Pair pair, source;
  auto generator = layers_generator(3);
  source.initialise(generator);
  auto weights = source.state_dict();
  weights.replace("second.weight", at::zeros({2, 5}));
  try {
    pair.load(weights);
    FAIL() << "a wrong shape was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::checkpoint);
    EXPECT_NE(error.message().find("second.weight"), std::string::npos) << error.message();
  }
  EXPECT_EQ(pair.first->weight().abs().nan_to_num().sum().item<double>(), 0);
  pair.load(source.state_dict());
  EXPECT_TRUE(at::equal(pair(layers_input()), source(layers_input())));
}

TEST(Module, MembersFollowAChangeOfType) {
  Pair pair;
  auto generator = layers_generator(3);
  pair.initialise(generator);
  pair.to(at::kDouble);
  EXPECT_EQ(pair.scale.scalar_type(), at::kDouble);
  EXPECT_EQ(pair.steps.scalar_type(), at::kLong);
  const auto y = pair(layers_input().to(at::kDouble));
  y.sum().backward();
  EXPECT_TRUE(pair.parameters().front().second.grad().defined());
}

TEST(Module, FrozenParametersGetNoGradientWhileInputsDo) {
  Pair pair;
  auto generator = layers_generator(3);
  pair.initialise(generator);
  pair.set_requires_grad(false);
  auto x = layers_input().set_requires_grad(true);
  pair(x).sum().backward();
  EXPECT_TRUE(x.grad().defined());
  for (const auto& [name, tensor] : pair.parameters()) EXPECT_FALSE(tensor.grad().defined()) << name;
}

TEST(WeightNorm, FreshWeightsHaveTheNormOfTheirDirection) {
  Conv1d conv(3, 4, {.kernel = 5, .weight_norm = true});
  auto generator = layers_generator(1);
  conv.initialise(generator);
  const auto parameters = conv.parameters();
  EXPECT_TRUE(at::allclose(conv.weight(), parameters[2].second, 1e-6, 1e-7));
}

TEST(WeightNorm, FoldingChangesNothingButTheWork) {
  Pair pair;
  auto generator = layers_generator(3);
  pair.initialise(generator);
  const auto before = pair(layers_input());
  pair.fold(true);
  EXPECT_FALSE(pair.first->weight().requires_grad());
  EXPECT_TRUE(at::equal(pair(layers_input()), before));
  auto again = layers_generator(4);
  pair.initialise(again);
  EXPECT_FALSE(at::equal(pair(layers_input()), before)) << "fresh weights must drop the folded ones";
}

TEST(Convolutions, HaveTheirDocumentedShapes) {
  const auto x = at::zeros({2, 4, 10});
  EXPECT_EQ((Conv1d(4, 6, {.kernel = 3, .stride = 2, .padding = 1, .groups = 2})(x)).sizes(),
            (std::vector<std::int64_t>{2, 6, 5}));
  EXPECT_EQ((ConvTranspose1d(4, 6, {.kernel = 16, .stride = 10, .padding = 3})(x)).sizes(),
            (std::vector<std::int64_t>{2, 6, 100}));
  EXPECT_EQ((Conv2d(4, 6, {.kernel_height = 5, .stride_height = 3, .padding_height = 2})(x.unsqueeze(-1))).sizes(),
            (std::vector<std::int64_t>{2, 6, 4, 1}));
}

}  // namespace
}  // namespace melisma
