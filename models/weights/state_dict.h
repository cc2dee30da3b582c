// A state dict: tensors by name in insertion order, with strict comparison.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace melisma {

// What differs between an expected and a found state dict, in words people can act on.
struct StateDictDifference {
  std::vector<std::string> missing;     // expected, not found
  std::vector<std::string> unexpected;  // found, not expected
  std::vector<std::string>
      mismatched;  // "'dec.ups.0.weight_v' is [512,256,16] in the file but [512,256,12] in the model"
  [[nodiscard]] bool empty() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
  // One sentence with the first few of each kind and how many more there are.
  [[nodiscard]] std::string summary() const;
};

class StateDict {
 public:
  using Item = std::pair<std::string, at::Tensor>;

  // Adds a tensor; Error(checkpoint) if the name is there already.
  void add(std::string name, at::Tensor tensor);
  void replace(std::string_view name, at::Tensor tensor);
  void erase(std::string_view name);
  [[nodiscard]] bool contains(std::string_view name) const;
  // Error(checkpoint) with did-you-mean if there is no such tensor.
  [[nodiscard]] const at::Tensor& at(std::string_view name) const;
  [[nodiscard]] const std::vector<Item>& items() const { return items_; }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] std::int64_t n_parameters() const;
  [[nodiscard]] auto begin() const { return items_.begin(); }
  [[nodiscard]] auto end() const { return items_.end(); }

  // This dict is what is expected; shapes are compared, dtypes only between floating and not.
  [[nodiscard]] StateDictDifference difference_to(const StateDict& found) const;

 private:
  std::vector<Item> items_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace melisma
