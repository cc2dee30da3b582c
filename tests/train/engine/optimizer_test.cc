#include "train/engine/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/train/engine/tiny_gan.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::TinyNetwork;

at::Tensor gradient_of(const TinyNetwork& network, std::int64_t step) {
  return TinyNetwork::numbers("gradient" + std::to_string(step), network.first.sizes().vec());
}

// AdamW in double, from Loshchilov & Hutter 2019, algorithm 2.
struct TextbookAdamW {
  explicit TextbookAdamW(at::Tensor start) : weight(std::move(start)), m(at::zeros_like(weight)), v(m.clone()) {}
  void step(const OptimizerConfig& c, const at::Tensor& g, double t) {
    m = c.beta1 * m + (1 - c.beta1) * g;
    v = c.beta2 * v + (1 - c.beta2) * g * g;
    const auto m_hat = m / (1 - std::pow(c.beta1, t)), v_hat = v / (1 - std::pow(c.beta2, t));
    weight = weight - c.lr * (m_hat / (v_hat.sqrt() + c.eps) + c.weight_decay * weight);
  }
  at::Tensor weight, m, v;
};

TEST(AdamW, FollowsTheTextbookInDouble) {
  const OptimizerConfig config{.lr = 0.01, .weight_decay = 0.1};
  TinyNetwork network("adam", 4, 2);
  AdamW optimizer(network, config);
  TextbookAdamW expected(network.first.detach().to(at::kDouble));
  for (std::int64_t step = 1; step <= 20; ++step) {
    network.first.mutable_grad() = gradient_of(network, step);
    optimizer.step(config.lr, at::zeros({}, at::kBool));
    expected.step(config, gradient_of(network, step).to(at::kDouble), static_cast<double>(step));
  }
  EXPECT_LT((network.first.detach() - expected.weight).abs().max().item<double>(), 1e-6);
}

TEST(AdamW, LeavesParametersWithoutGradientAlone) {
  TinyNetwork network("adam", 4, 2);
  const auto before = network.second.detach().clone();
  AdamW optimizer(network, {});
  network.first.mutable_grad() = gradient_of(network, 1);
  optimizer.step(0.1, at::zeros({}, at::kBool));
  EXPECT_TRUE(at::equal(network.second.detach(), before));
  EXPECT_EQ(optimizer.state().at("second.weight/step").item<float>(), 0);
  EXPECT_EQ(optimizer.state().at("first.weight/step").item<float>(), 1);
}

TEST(AdamW, ABadStepChangesNothing) {
  TinyNetwork network("adam", 4, 2);
  AdamW optimizer(network, {});
  network.first.mutable_grad() = gradient_of(network, 1);
  optimizer.step(0.1, at::zeros({}, at::kBool));
  const auto weights = network.first.detach().clone();
  const auto moment = optimizer.state().at("first.weight/exp_avg").clone();
  network.first.mutable_grad() = at::full_like(network.first.detach(), NAN);
  optimizer.step(0.1, optimizer.gradient_norm().isfinite().logical_not());
  EXPECT_TRUE(at::equal(network.first.detach(), weights));
  EXPECT_TRUE(at::equal(optimizer.state().at("first.weight/exp_avg"), moment));
  EXPECT_EQ(optimizer.state().at("first.weight/step").item<float>(), 1);
}

TEST(AdamW, ClipsToTheNormAndNotBelowIt) {
  TinyNetwork network("adam", 4, 2);
  AdamW optimizer(network, {.clip_norm = 1.0});
  network.first.mutable_grad() = gradient_of(network, 1) * 100;
  optimizer.clip(optimizer.gradient_norm());
  EXPECT_NEAR(optimizer.gradient_norm().item<double>(), 1.0, 1e-5);
  network.first.mutable_grad() = network.first.grad() * 0.5;
  const auto small = network.first.grad().clone();
  optimizer.clip(optimizer.gradient_norm());
  EXPECT_TRUE(at::allclose(network.first.grad(), small));
}

TEST(AdamW, NormIsOverAllGradientsTogether) {
  TinyNetwork network("adam", 4, 2);
  const AdamW optimizer(network, {});
  EXPECT_EQ(optimizer.gradient_norm().item<double>(), 0);
  network.bias.mutable_grad() = at::full({8}, 3.0);
  network.second.mutable_grad() = at::full({2, 8}, 1.0);
  EXPECT_NEAR(optimizer.gradient_norm().item<double>(), std::sqrt(8 * 9 + 16), 1e-5);
}

TEST(AdamW, StateOfAnotherNetworkIsRefused) {
  TinyNetwork network("adam", 4, 2), other("adam", 5, 2);
  AdamW optimizer(network, {});
  EXPECT_THROW(optimizer.load(AdamW(other, {}).state()), Error);
}

}  // namespace
}  // namespace melisma
