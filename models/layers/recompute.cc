#include "models/layers/recompute.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace melisma {
namespace recompute_detail {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Part = std::function<at::Tensor(const at::Tensor&)>;

thread_local bool is_on = false;

// Autocast as it was elsewhere, on this thread while it lives.
class AutocastAs {
 public:
  AutocastAs(c10::DeviceType device, bool on, at::ScalarType type)
      : device_(device),
        was_on_(at::autocast::is_autocast_enabled(device)),
        type_before_(at::autocast::get_autocast_dtype(device)) {
    at::autocast::set_autocast_enabled(device, on);
    at::autocast::set_autocast_dtype(device, type);
  }
  ~AutocastAs() {
    at::autocast::set_autocast_enabled(device_, was_on_);
    at::autocast::set_autocast_dtype(device_, type_before_);
    at::autocast::clear_cache();
  }
  AutocastAs(const AutocastAs&) = delete;
  AutocastAs& operator=(const AutocastAs&) = delete;

 private:
  c10::DeviceType device_;
  bool was_on_;
  at::ScalarType type_before_;
};

class Recomputed final : public torch::autograd::Function<Recomputed> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const Part& part) {
    const auto device = x.device().type();
    context->save_for_backward({x});
    context->saved_data["part"] = c10::IValue::make_capsule(c10::make_intrusive<Kept>(part));
    context->saved_data["autocast"] = at::autocast::is_autocast_enabled(device);
    context->saved_data["type"] = static_cast<std::int64_t>(at::autocast::get_autocast_dtype(device));
    return part(x);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto x = context->get_saved_variables()[0].detach().set_requires_grad(true);
    const auto kept = context->saved_data["part"].toCapsule();
    const auto& part = dynamic_cast<const Kept&>(*kept).part;
    at::Tensor made;
    {
      const c10::AutoGradMode with_gradients(true);
      const AutocastAs as_before(x.device().type(), context->saved_data["autocast"].toBool(),
                                 static_cast<at::ScalarType>(context->saved_data["type"].toInt()));
      made = part(x);
    }
    torch::autograd::backward({made}, {gradients[0]});
    return {x.grad(), at::Tensor()};
  }

 private:
  struct Kept final : torch::CustomClassHolder {
    explicit Kept(Part what) : part(std::move(what)) {}
    Part part;
  };
};

}  // namespace
}  // namespace recompute_detail

at::Tensor recomputed(const std::function<at::Tensor(const at::Tensor&)>& part, const at::Tensor& x) {
  if (!c10::GradMode::is_enabled() || !x.requires_grad()) return part(x);
  return recompute_detail::Recomputed::apply(x, part);
}

bool is_recomputing() { return recompute_detail::is_on; }

RecomputeScope::RecomputeScope(bool on) : before_(recompute_detail::is_on) { recompute_detail::is_on = on; }
RecomputeScope::~RecomputeScope() { recompute_detail::is_on = before_; }

}  // namespace melisma
