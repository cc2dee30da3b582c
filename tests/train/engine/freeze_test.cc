// What settings like freeze.generator mean, and that frozen parameters stay as they are.
#include "train/engine/freeze.h"

#include "tests/support/refusal.h"
#include "tests/train/engine/tiny_gan.h"
#include "tools/base/error.h"
#include "train/engine/optimizer.h"

namespace melisma {
namespace {

using Names = std::vector<std::string>;

// Parameters by name, no more.
struct Named final : Module {
  explicit Named(const Names& names) {
    for (const auto& name : names) (void)parameter(name, at::zeros({1}));
  }
};

const Named& decoder_like() {
  static const Named module({"enc.proj.weight", "enc.proj.bias", "dec.ups.0.weight", "dec.ups.1.weight",
                             "dec.ups.10.weight", "dec.blocks.0.bias"});
  return module;
}

std::string refusal(const Named& module, const Names& patterns) {
  return testing::refusal_of(ErrorKind::config, [&] { (void)parameters_meant(module, patterns, "freeze.generator"); });
}

TEST(Freeze, ANameMeansWhatBeginsWithItDotByDot) {
  const auto meant = [](const Names& patterns) {
    return parameters_meant(decoder_like(), patterns, "freeze.generator");
  };
  EXPECT_EQ(meant({}), Names{});
  EXPECT_EQ(meant({"enc"}), (Names{"enc.proj.weight", "enc.proj.bias"}));
  EXPECT_EQ(meant({"dec.ups.1"}), Names{"dec.ups.1.weight"});
  EXPECT_EQ(meant({"dec.*.0"}), (Names{"dec.ups.0.weight", "dec.blocks.0.bias"}));
  EXPECT_EQ(meant({"*.*.1*"}), (Names{"dec.ups.1.weight", "dec.ups.10.weight"}));
  EXPECT_EQ(meant({"dec.ups.1*", "dec.ups", "enc.proj.bias"}),
            (Names{"enc.proj.bias", "dec.ups.0.weight", "dec.ups.1.weight", "dec.ups.10.weight"}));
}

TEST(Freeze, WhatNamesNothingIsAnsweredWithTheNearest) {
  EXPECT_EQ(refusal(decoder_like(), {"enc", "dec.usp"}),
            "freeze.generator: no parameter is called 'dec.usp' or begins with it; did you mean 'dec.ups'?");
  EXPECT_EQ(refusal(decoder_like(), {"posterior"}),
            "freeze.generator: no parameter is called 'posterior' or begins with it; there are dec, enc");
  EXPECT_EQ(refusal(decoder_like(), {"dec", "*"}),
            "freeze.generator: all 6 parameters are frozen, nothing is left to train");
}

TEST(Freeze, FrozenParametersGetNoGradientNoDecayAndNoPartInTheNorm) {
  testing::TinyNetwork all("net", 4, 2), part("net", 4, 2);
  part.freeze({"first.weight"});
  const auto before = part.first.detach().clone();
  OptimizerConfig config{.lr = 0.1, .weight_decay = 0.5};
  AdamW optimizer_of_all(all, config), optimizer_of_part(part, config);
  const auto input = testing::TinyNetwork::numbers("input", {3, 4});
  for (int step = 0; step < 3; ++step) {
    optimizer_of_part.zero_grad();
    part.set_requires_grad(false);
    part.set_requires_grad(true);  // as a discriminator's turns do
    part.forward(input).square().sum().backward();
    EXPECT_FALSE(part.first.grad().defined());
    optimizer_of_part.step(0.1, at::zeros({}, at::kBool));
  }
  EXPECT_TRUE(at::equal(part.first, before));
  EXPECT_FALSE(at::equal(part.bias, all.bias));
  all.forward(input).square().sum().backward();
  const auto of_all = optimizer_of_all.gradient_norm().item<double>();
  const auto of_first = all.first.grad().norm().item<double>();
  testing::TinyNetwork again("net", 4, 2);
  again.freeze({"first.weight"});
  AdamW optimizer_again(again, config);
  again.forward(input).square().sum().backward();
  EXPECT_NEAR(optimizer_again.gradient_norm().item<double>(), std::sqrt(of_all * of_all - of_first * of_first), 1e-4);
  EXPECT_FALSE(optimizer_again.state().contains("first.weight/exp_avg"));
  EXPECT_TRUE(optimizer_again.state().contains("second.weight/exp_avg"));
}

}  // namespace
}  // namespace melisma
