#include "models/layers/norms.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace melisma {
namespace norm_layers {
namespace {

constexpr double kEps = 1e-5, kMomentum = .1, kFirstSlope = .25;

thread_local at::Generator* training = nullptr;

void fill(const at::Tensor& tensor, double value) {
  const c10::NoGradGuard no_grad;
  tensor.fill_(value);
}

std::int64_t groups_of(std::int64_t channels) {
  std::int64_t groups = std::min<std::int64_t>(8, channels);
  while (channels % groups != 0) --groups;
  return groups;
}

}  // namespace
}  // namespace norm_layers

TrainingScope::TrainingScope(at::Generator generator)
    : before_(norm_layers::training), generator_(std::move(generator)) {
  norm_layers::training = &generator_;
}
TrainingScope::~TrainingScope() { norm_layers::training = before_; }

bool is_training() { return norm_layers::training != nullptr; }

at::Tensor dropout(const at::Tensor& x, double p) {
  if (!is_training() || p <= 0) return x;
  const auto drawn = at::rand(x.sizes(), *norm_layers::training, at::TensorOptions().dtype(at::kFloat));
  return x * (drawn >= p).to(x.options()).div_(1 - p);
}

BatchNorm::BatchNorm(std::int64_t channels) {
  weight_ = parameter("weight", at::ones({channels}));
  bias_ = parameter("bias", at::zeros({channels}));
  running_mean_ = buffer("running_mean", at::zeros({channels}));
  running_var_ = buffer("running_var", at::ones({channels}));
  n_batches_ = buffer("num_batches_tracked", at::zeros({}, at::kLong));
}

at::Tensor BatchNorm::operator()(const at::Tensor& x) const {
  if (is_training()) {
    const c10::NoGradGuard no_grad;
    auto count = n_batches_;
    count.add_(1);
  }
  return at::batch_norm(x, weight_, bias_, running_mean_, running_var_, is_training(), norm_layers::kMomentum,
                        norm_layers::kEps, false);
}

void BatchNorm::initialise(at::Generator&) {
  norm_layers::fill(weight_, 1);
  norm_layers::fill(bias_, 0);
  norm_layers::fill(running_mean_, 0);
  norm_layers::fill(running_var_, 1);
  norm_layers::fill(n_batches_, 0);
}

GroupNorm::GroupNorm(std::int64_t channels) : groups_(norm_layers::groups_of(channels)) {
  weight_ = parameter("weight", at::ones({channels}));
  bias_ = parameter("bias", at::zeros({channels}));
}

at::Tensor GroupNorm::operator()(const at::Tensor& x) const {
  return at::group_norm(x, groups_, weight_, bias_, norm_layers::kEps, false);
}

void GroupNorm::initialise(at::Generator&) {
  norm_layers::fill(weight_, 1);
  norm_layers::fill(bias_, 0);
}

TokenNorm::TokenNorm(std::int64_t width) {
  weight_ = parameter("weight", at::ones({width}));
  bias_ = parameter("bias", at::zeros({width}));
}

at::Tensor TokenNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, {weight_.size(0)}, weight_, bias_, norm_layers::kEps);
}

void TokenNorm::initialise(at::Generator&) {
  norm_layers::fill(weight_, 1);
  norm_layers::fill(bias_, 0);
}

PRelu::PRelu(std::int64_t channels) { weight_ = parameter("weight", at::full({channels}, norm_layers::kFirstSlope)); }

at::Tensor PRelu::operator()(const at::Tensor& x) const { return at::prelu(x, weight_); }

void PRelu::initialise(at::Generator&) { norm_layers::fill(weight_, norm_layers::kFirstSlope); }

}  // namespace melisma
