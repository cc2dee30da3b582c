#include "models/layers/module.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "tools/base/error.h"

namespace melisma {

template <class Visit>
void Module::visit(const std::string& prefix, const Visit& see) const {
  for (const auto& entry : order_) {
    switch (entry.kind) {
      case Kind::parameter: {
        const auto& [name, tensor] = parameters_[entry.index];
        see(prefix + name, tensor, true);
        break;
      }
      case Kind::buffer: {
        const auto& [name, tensor] = buffers_[entry.index];
        see(prefix + name, tensor, false);
        break;
      }
      case Kind::child: {
        const auto& [name, module] = children_[entry.index];
        module->visit(prefix + name + '.', see);
        break;
      }
    }
  }
}

Module::NamedTensors Module::parameters() const {
  NamedTensors found;
  visit("", [&](std::string name, const at::Tensor& tensor, bool is_parameter) {
    if (is_parameter) found.emplace_back(std::move(name), tensor);
  });
  return found;
}

Module::NamedTensors Module::buffers() const {
  NamedTensors found;
  visit("", [&](std::string name, const at::Tensor& tensor, bool is_parameter) {
    if (!is_parameter) found.emplace_back(std::move(name), tensor);
  });
  return found;
}

StateDict Module::state_dict() const {
  StateDict found;
  visit("", [&](std::string name, const at::Tensor& tensor, bool) { found.add(std::move(name), tensor.detach()); });
  return found;
}

std::int64_t Module::n_parameters() const {
  std::int64_t count = 0;
  visit("", [&](const std::string&, const at::Tensor& tensor, bool is_parameter) {
    if (is_parameter) count += tensor.numel();
  });
  return count;
}

void Module::load(const StateDict& weights) {
  const auto difference = state_dict().difference_to(weights);
  if (!difference.empty()) throw Error(ErrorKind::checkpoint, difference.summary());
  const c10::NoGradGuard no_grad;
  visit("", [&](const std::string& name, const at::Tensor& tensor, bool) { tensor.copy_(weights.at(name)); });
  fold(false);
}

void Module::initialise(at::Generator& generator) {
  for (const auto& entry : order_) {
    if (entry.kind == Kind::child) children_[entry.index].second->initialise(generator);
  }
}

void Module::fold(bool on) {
  for (const auto& [name, module] : children_) module->fold(on);
}

void Module::set_requires_grad(bool on) {
  visit("", [&](const std::string& name, const at::Tensor& tensor, bool is_parameter) {
    if (is_parameter) tensor.set_requires_grad(on && !frozen_.contains(name));
  });
}

void Module::freeze(const std::vector<std::string>& names) {
  frozen_.insert(names.begin(), names.end());
  for (const auto& [name, tensor] : parameters()) {
    if (frozen_.contains(name)) tensor.set_requires_grad(false);
  }
}

Module::NamedTensors Module::trainable_parameters() const {
  auto found = parameters();
  std::erase_if(found, [&](const auto& item) { return frozen_.contains(item.first); });
  return found;
}

void Module::to(at::ScalarType type) {
  const c10::NoGradGuard no_grad;
  visit("", [&](const std::string&, const at::Tensor& tensor, bool) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.detach().to(type));
  });
  fold(false);
}

void Module::to(at::Device device) {
  const c10::NoGradGuard no_grad;
  visit("", [&](const std::string&, const at::Tensor& tensor, bool) { tensor.set_data(tensor.detach().to(device)); });
  fold(false);
}

at::Tensor Module::parameter(std::string name, at::Tensor value) {
  value.set_requires_grad(true);
  parameters_.emplace_back(std::move(name), value);
  order_.push_back({Kind::parameter, parameters_.size() - 1});
  return value;
}

at::Tensor Module::buffer(std::string name, at::Tensor value) {
  buffers_.emplace_back(std::move(name), value);
  order_.push_back({Kind::buffer, buffers_.size() - 1});
  return value;
}

}  // namespace melisma
