// The base of every network: ordered names of parameters, buffers and children. ATen only, so it compiles fast.
#pragma once
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "models/weights/state_dict.h"

namespace melisma {

// A subclass holds at::Tensor members and sub-modules and registers them in its constructor, in state-dict order:
//
//   Linear::Linear(std::int64_t in, std::int64_t out) {
//     weight = parameter("weight", at::empty({out, in}));
//     bias = parameter("bias", at::empty({out}));
//   }
//
// Registered tensors share storage with the members for the life of the module; load() copies into them in place.
// Modules are neither copied nor moved.
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

  // Parameters of this module and its children, depth first in registration order, names joined with dots.
  [[nodiscard]] NamedTensors parameters() const;
  [[nodiscard]] NamedTensors buffers() const;
  // Parameters and buffers, detached views of the live storage, in state-dict order.
  [[nodiscard]] StateDict state_dict() const;
  [[nodiscard]] std::int64_t n_parameters() const;

  // Copies `weights` in (converted to the module's dtype and device). Strict: throws Error(checkpoint) with the
  // difference and changes nothing.
  void load(const StateDict& weights);
  // Draws every parameter afresh from `generator` (CPU), children in registration order. Zeros until this or load().
  virtual void initialise(at::Generator& generator);
  // Inference only: computes each weight-normed weight once and keeps it; parameters stay what they are. load(), to()
  // and initialise() drop what was kept; fold(false) goes back to computing the weight at each call.
  virtual void fold(bool on);
  // Frozen parameters keep out of it.
  void set_requires_grad(bool on);
  // Parameters by their names here (as in parameters()) that get no gradient and no optimizer from now on.
  void freeze(const std::vector<std::string>& names);
  // parameters() without the frozen ones.
  [[nodiscard]] NamedTensors trainable_parameters() const;
  // Moves every tensor; members keep pointing at the same tensor objects.
  void to(at::ScalarType type);
  void to(at::Device device);

 protected:
  // Registers a trainable tensor (requires_grad is set) or a constant one, and returns it.
  at::Tensor parameter(std::string name, at::Tensor value);
  at::Tensor buffer(std::string name, at::Tensor value);
  // Registers a child under `name`; the caller keeps it as a member or in a vector of unique_ptr.
  template <class Child>
  Child& child(std::string name, Child& module) {
    children_.emplace_back(std::move(name), &module);
    order_.push_back({Kind::child, children_.size() - 1});
    return module;
  }
  // Makes a child, registers it under `name` and hands it over:  pre_ = make_child<Conv1d>("pre", 192, 512, {...});
  template <class Child, class... Args>
  std::unique_ptr<Child> make_child(std::string name, Args&&... args) {
    auto made = std::make_unique<Child>(std::forward<Args>(args)...);
    child(std::move(name), *made);
    return made;
  }

 private:
  enum class Kind { parameter, buffer, child };
  struct Entry {
    Kind kind;
    std::size_t index;
  };
  template <class Visit>
  void visit(const std::string& prefix, const Visit& see) const;

  NamedTensors parameters_, buffers_;
  std::vector<std::pair<std::string, Module*>> children_;
  std::vector<Entry> order_;
  std::set<std::string, std::less<>> frozen_;
};

template <class T>
using Owned = std::unique_ptr<T>;

}  // namespace melisma
