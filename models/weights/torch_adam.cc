#include "models/weights/torch_adam.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>

#include "tools/base/error.h"

namespace melisma {
namespace torch_adam_detail {
namespace {

constexpr const char* kFirst = "/exp_avg";
constexpr const char* kSecond = "/exp_avg_sq";
constexpr const char* kStep = "/step";

const PickleValue& item(const PickleValue& dict, std::string_view key, std::string_view where) {
  const auto* found = dict.find(key);
  if (found == nullptr) fail(ErrorKind::checkpoint, "its {} has no '{}'", where, key);
  return *found;
}

double number(const PickleValue& value, std::string_view what) {
  if (const auto found = value.number()) return *found;
  if (const auto* tensor = value.tensor(); tensor != nullptr && tensor->numel() == 1) return tensor->item<double>();
  fail(ErrorKind::checkpoint, "its optimizer's {} is {}; a number is expected", what, value.kind_name());
}

const at::Tensor& moment(const PickleValue& entry, std::string_view key, std::int64_t id) {
  const auto* found = entry.find(key);
  if (found == nullptr || found->tensor() == nullptr || !found->tensor()->is_floating_point()) {
    fail(ErrorKind::checkpoint, "its optimizer has no '{}' of parameter {}: it is not Adam or AdamW", key, id);
  }
  return *found->tensor();
}

const PickleValue& only_group(const PickleValue& optimizer) {
  const auto* groups = item(optimizer, "param_groups", "optimizer").sequence();
  if (groups == nullptr || groups->items.size() != 1) {
    fail(ErrorKind::checkpoint, "its optimizer has {} parameter groups; one is expected",
         groups == nullptr ? 0 : groups->items.size());
  }
  return groups->items.front();
}

TorchAdamSettings settings_of(const PickleValue& group) {
  TorchAdamSettings settings;
  const auto take = [&](const char* key, double& into) { into = number(item(group, key, "parameter group"), key); };
  take("lr", settings.lr);
  take("eps", settings.eps);
  take("weight_decay", settings.weight_decay);
  if (const auto* initial = group.find("initial_lr")) settings.initial_lr = number(*initial, "initial_lr");
  const auto* betas = item(group, "betas", "parameter group").sequence();
  if (betas == nullptr || betas->items.size() != 2) fail(ErrorKind::checkpoint, "its optimizer has no two betas");
  settings.beta1 = number(betas->items[0], "betas");
  settings.beta2 = number(betas->items[1], "betas");
  if (const auto* amsgrad = group.find("amsgrad"); amsgrad != nullptr && amsgrad->boolean().value_or(false)) {
    fail(ErrorKind::checkpoint, "its optimizer uses amsgrad, which training here does not");
  }
  return settings;
}

// Place of each number of the group.
std::unordered_map<std::int64_t, std::size_t> places_of(const PickleValue& group) {
  const auto* numbers = item(group, "params", "parameter group").sequence();
  if (numbers == nullptr) fail(ErrorKind::checkpoint, "its optimizer lists no parameters");
  std::unordered_map<std::int64_t, std::size_t> places;
  for (const auto& value : numbers->items) {
    const auto id = value.integer();
    if (!id || !places.emplace(*id, places.size()).second) {
      fail(ErrorKind::checkpoint, "its optimizer's list of parameters is damaged at place {}", places.size());
    }
  }
  return places;
}

std::string shape_text(const at::Tensor& tensor) { return fmt::format("[{}]", fmt::join(tensor.sizes(), ",")); }

std::shared_ptr<PickleDict> group_value(const TorchAdamSettings& settings, std::size_t n_parameters) {
  auto betas = std::make_shared<PickleSequence>(PickleSequence{.is_tuple = true, .items = {}});
  betas->items = {settings.beta1, settings.beta2};
  auto group = std::make_shared<PickleDict>();
  group->set("lr", settings.lr);
  group->set("betas", std::move(betas));
  group->set("eps", settings.eps);
  group->set("weight_decay", settings.weight_decay);
  group->set("amsgrad", false);
  group->set("maximize", false);
  group->set("foreach", {});
  group->set("capturable", false);
  group->set("differentiable", false);
  group->set("fused", {});
  group->set("decoupled_weight_decay", true);
  if (settings.initial_lr) group->set("initial_lr", *settings.initial_lr);
  auto numbers = std::make_shared<PickleSequence>();
  for (std::size_t i = 0; i < n_parameters; ++i) numbers->items.emplace_back(static_cast<std::int64_t>(i));
  group->set("params", std::move(numbers));
  return group;
}

}  // namespace
}  // namespace torch_adam_detail

bool TorchAdam::has_moments() const {
  return std::any_of(parameters.begin(), parameters.end(), [](const auto& slot) { return slot.has_value(); });
}

TorchAdam torch_adam_of(const PickleValue& optimizer) {
  using namespace torch_adam_detail;
  if (optimizer.dict() == nullptr) {
    fail(ErrorKind::checkpoint, "its 'optimizer' is {}; the state of Adam or AdamW is expected", optimizer.kind_name());
  }
  const auto& group = only_group(optimizer);
  const auto places = places_of(group);
  TorchAdam adam{settings_of(group), {}};
  adam.parameters.resize(places.size());
  const auto* state = item(optimizer, "state", "optimizer").dict();
  if (state == nullptr) fail(ErrorKind::checkpoint, "its optimizer's 'state' is no dict");
  for (const auto& [key, entry] : state->items) {
    const auto id = key.integer();
    const auto place = id ? places.find(*id) : places.end();
    if (place == places.end()) {
      fail(ErrorKind::checkpoint, "its optimizer has moments of a parameter that it does not list");
    }
    adam.parameters[place->second] = {moment(entry, "exp_avg", *id), moment(entry, "exp_avg_sq", *id),
                                      number(item(entry, "step", "optimizer"), "step")};
  }
  return adam;
}

std::string misfit(const TorchAdam& adam, const StateDict& parameters) {
  if (adam.parameters.size() != parameters.size()) {
    return fmt::format("it is of {} parameters, the network has {}", adam.parameters.size(), parameters.size());
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& slot = adam.parameters[i];
    const auto& [name, tensor] = parameters.items()[i];
    if (!slot) continue;
    for (const auto* moments : {&slot->exp_avg, &slot->exp_avg_sq}) {
      if (moments->sizes() == tensor.sizes()) continue;
      return fmt::format("number {} has moments of {} where '{}' is {}", i, torch_adam_detail::shape_text(*moments),
                         name, torch_adam_detail::shape_text(tensor));
    }
  }
  return {};
}

StateDict moments_by_name(const TorchAdam& adam, const StateDict& parameters) {
  using namespace torch_adam_detail;
  if (const auto problem = misfit(adam, parameters); !problem.empty()) {
    fail(ErrorKind::checkpoint, "its optimizer's state does not fit: {}", problem);
  }
  StateDict moments;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, tensor] = parameters.items()[i];
    const auto& slot = adam.parameters[i];
    const auto zeros = [&shape = tensor] { return at::zeros(shape.sizes(), at::kFloat); };
    moments.add(name + kFirst, slot ? slot->exp_avg.to(at::kFloat) : zeros());
    moments.add(name + kSecond, slot ? slot->exp_avg_sq.to(at::kFloat) : zeros());
    moments.add(name + kStep, at::full({}, slot ? slot->step : 0.0, at::kFloat));
  }
  return moments;
}

PickleValue torch_adam_value(const StateDict& moments, std::span<const std::string> order,
                             const TorchAdamSettings& settings) {
  using namespace torch_adam_detail;
  auto state = std::make_shared<PickleDict>();
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& step = moments.at(order[i] + kStep);
    if (step.item<double>() == 0) continue;
    auto entry = std::make_shared<PickleDict>();
    entry->set("step", step);
    entry->set("exp_avg", moments.at(order[i] + kFirst));
    entry->set("exp_avg_sq", moments.at(order[i] + kSecond));
    state->items.emplace_back(static_cast<std::int64_t>(i), std::move(entry));
  }
  auto groups = std::make_shared<PickleSequence>();
  groups->items.emplace_back(group_value(settings, order.size()));
  auto optimizer = std::make_shared<PickleDict>();
  optimizer->set("state", std::move(state));
  optimizer->set("param_groups", std::move(groups));
  return optimizer;
}

}  // namespace melisma
