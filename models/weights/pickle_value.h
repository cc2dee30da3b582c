// What a pickle holds, as plain data: the values a PyTorch file is made of, and nothing that could run.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "models/weights/safetensors.h"

namespace melisma {

struct PickleSequence;
struct PickleDict;

// The name of something a pickle refers to and that stays a name: "torch.float32".
struct PickleGlobal {
  std::shared_ptr<const std::string> name;
};

struct PickleBytes {
  std::shared_ptr<const std::string> content;
};

// Copies share their contents, as Python's references do.
class PickleValue {
 public:
  PickleValue() = default;  // None
  PickleValue(bool value) : value_(value) {}
  PickleValue(std::int64_t value) : value_(value) {}
  PickleValue(double value) : value_(value) {}
  PickleValue(std::string text) : value_(std::make_shared<const std::string>(std::move(text))) {}
  PickleValue(const char* text) : PickleValue(std::string(text)) {}
  PickleValue(PickleBytes bytes) : value_(std::move(bytes)) {}
  PickleValue(PickleGlobal global) : value_(std::move(global)) {}
  PickleValue(at::Tensor tensor) : value_(std::move(tensor)) {}
  PickleValue(std::shared_ptr<PickleSequence> sequence) : value_(std::move(sequence)) {}
  PickleValue(std::shared_ptr<PickleDict> dict) : value_(std::move(dict)) {}
  // Only for writing: a tensor made when its turn comes.
  PickleValue(TensorToWrite tensor) : value_(std::make_shared<const TensorToWrite>(std::move(tensor))) {}

  [[nodiscard]] bool is_none() const { return std::holds_alternative<std::monostate>(value_); }
  // The value as that type, or nothing if it is another. A bool is no integer here; a number is integer or real.
  [[nodiscard]] std::optional<bool> boolean() const;
  [[nodiscard]] std::optional<std::int64_t> integer() const;
  [[nodiscard]] std::optional<double> number() const;
  [[nodiscard]] const std::string* text() const;
  [[nodiscard]] const std::string* bytes() const;
  [[nodiscard]] const std::string* global() const;
  [[nodiscard]] const at::Tensor* tensor() const;
  [[nodiscard]] const TensorToWrite* pending_tensor() const;
  [[nodiscard]] PickleSequence* sequence() const;
  [[nodiscard]] PickleDict* dict() const;
  // The value under a text key of a dict; nullptr if this is no dict or has no such key. The last one wins.
  [[nodiscard]] const PickleValue* find(std::string_view key) const;
  // "a dict", "a number": for messages.
  [[nodiscard]] std::string_view kind_name() const;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::shared_ptr<const std::string>, PickleBytes,
               PickleGlobal, at::Tensor, std::shared_ptr<const TensorToWrite>, std::shared_ptr<PickleSequence>,
               std::shared_ptr<PickleDict>>
      value_;
};

struct PickleSequence {
  bool is_tuple = false;
  std::vector<PickleValue> items;
};

struct PickleDict {
  bool is_ordered = false;  // written as collections.OrderedDict
  std::vector<std::pair<PickleValue, PickleValue>> items;
  void set(std::string key, PickleValue value) { items.emplace_back(std::move(key), std::move(value)); }
};

// JSON of a value without tensors: those, bytes and names become null; dict keys become text. Throws Error(checkpoint)
// past `most_values` values, so that shared contents cannot multiply.
[[nodiscard]] std::string to_json_text(const PickleValue& value, std::size_t most_values = 100000);
// The reverse of it for objects, lists, texts, numbers, truth values and null; an object becomes a dict.
[[nodiscard]] PickleValue pickle_value_of_json(std::string_view text);

}  // namespace melisma
