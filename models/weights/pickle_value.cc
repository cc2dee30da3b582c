#include "models/weights/pickle_value.h"

#include <nlohmann/json.hpp>

#include "tools/base/error.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace pickle_value_detail {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const PickleValue& value, std::size_t& budget) {
  if (budget-- == 0) fail(ErrorKind::checkpoint, "the file's settings hold too many values");
  if (const auto flag = value.boolean()) return *flag;
  if (const auto number = value.integer()) return *number;
  if (const auto number = value.number()) return *number;
  if (const auto* text = value.text()) return *text;
  if (const auto* sequence = value.sequence()) {
    auto list = Json::array();
    for (const auto& item : sequence->items) list.push_back(json_of(item, budget));
    return list;
  }
  if (const auto* dict = value.dict()) {
    auto object = Json::object();
    for (const auto& [key, item] : dict->items) {
      const auto name = key.text() != nullptr ? *key.text() : json_of(key, budget).dump();
      object[name] = json_of(item, budget);
    }
    return object;
  }
  return nullptr;
}

PickleValue value_of(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    auto list = std::make_shared<PickleSequence>();
    for (const auto& item : json) list->items.push_back(value_of(item));
    return list;
  }
  if (json.is_object()) {
    auto dict = std::make_shared<PickleDict>();
    for (const auto& [key, item] : json.items()) dict->set(key, value_of(item));
    return dict;
  }
  return {};
}

}  // namespace
}  // namespace pickle_value_detail

std::optional<bool> PickleValue::boolean() const {
  const auto* held = std::get_if<bool>(&value_);
  return held == nullptr ? std::nullopt : std::optional(*held);
}

std::optional<std::int64_t> PickleValue::integer() const {
  const auto* held = std::get_if<std::int64_t>(&value_);
  return held == nullptr ? std::nullopt : std::optional(*held);
}

std::optional<double> PickleValue::number() const {
  if (const auto whole = integer()) return static_cast<double>(*whole);
  const auto* held = std::get_if<double>(&value_);
  return held == nullptr ? std::nullopt : std::optional(*held);
}

const std::string* PickleValue::text() const {
  const auto* held = std::get_if<std::shared_ptr<const std::string>>(&value_);
  return held == nullptr ? nullptr : held->get();
}

const std::string* PickleValue::bytes() const {
  const auto* held = std::get_if<PickleBytes>(&value_);
  return held == nullptr ? nullptr : held->content.get();
}

const std::string* PickleValue::global() const {
  const auto* held = std::get_if<PickleGlobal>(&value_);
  return held == nullptr ? nullptr : held->name.get();
}

const at::Tensor* PickleValue::tensor() const { return std::get_if<at::Tensor>(&value_); }

const TensorToWrite* PickleValue::pending_tensor() const {
  const auto* held = std::get_if<std::shared_ptr<const TensorToWrite>>(&value_);
  return held == nullptr ? nullptr : held->get();
}

PickleSequence* PickleValue::sequence() const {
  const auto* held = std::get_if<std::shared_ptr<PickleSequence>>(&value_);
  return held == nullptr ? nullptr : held->get();
}

PickleDict* PickleValue::dict() const {
  const auto* held = std::get_if<std::shared_ptr<PickleDict>>(&value_);
  return held == nullptr ? nullptr : held->get();
}

const PickleValue* PickleValue::find(std::string_view key) const {
  const PickleValue* found = nullptr;
  if (const auto* held = dict()) {
    for (const auto& [name, value] : held->items) {
      if (name.text() != nullptr && *name.text() == key) found = &value;
    }
  }
  return found;
}

std::string_view PickleValue::kind_name() const {
  if (is_none()) return "None";
  if (boolean()) return "a truth value";
  if (number()) return "a number";
  if (text() != nullptr) return "a text";
  if (bytes() != nullptr) return "bytes";
  if (global() != nullptr) return "a name";
  if (sequence() != nullptr) return sequence()->is_tuple ? "a tuple" : "a list";
  if (dict() != nullptr) return "a dict";
  return "a tensor";
}

std::string to_json_text(const PickleValue& value, std::size_t most_values) {
  auto budget = most_values;
  return json_line(pickle_value_detail::json_of(value, budget));
}

PickleValue pickle_value_of_json(std::string_view text) {
  return pickle_value_detail::value_of(pickle_value_detail::Json::parse(text));
}

}  // namespace melisma
