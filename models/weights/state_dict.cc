#include "models/weights/state_dict.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace state_dict_detail {
namespace {

constexpr std::size_t kNamesShown = 5;

std::string shape_text(const at::Tensor& tensor) { return fmt::format("[{}]", fmt::join(tensor.sizes(), ",")); }

// "3 tensors are missing ('a', 'b', 'c')", the first few names.
std::string listed(const std::vector<std::string>& names, std::string_view what) {
  const auto shown = std::min(names.size(), kNamesShown);
  std::string text = fmt::format("{} {} {} (", names.size(), names.size() == 1 ? "tensor is" : "tensors are", what);
  for (std::size_t i = 0; i < shown; ++i) text += fmt::format("{}'{}'", i == 0 ? "" : ", ", names[i]);
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text + ")";
}

std::string mismatches(const std::vector<std::string>& lines) {
  const auto shown = std::min(lines.size(), kNamesShown);
  std::string text;
  for (std::size_t i = 0; i < shown; ++i) text += (i == 0 ? "" : "; ") + lines[i];
  if (lines.size() > shown) text += fmt::format(" and {} more like it", lines.size() - shown);
  return text;
}

}  // namespace
}  // namespace state_dict_detail

std::string StateDictDifference::summary() const {
  using namespace state_dict_detail;
  std::vector<std::string> parts;
  if (!mismatched.empty()) parts.push_back(mismatches(mismatched));
  if (!missing.empty()) parts.push_back(listed(missing, "missing"));
  if (!unexpected.empty()) parts.push_back(listed(unexpected, "unexpected"));
  return parts.empty() ? "no difference" : fmt::format("{}", fmt::join(parts, "; "));
}

void StateDict::add(std::string name, at::Tensor tensor) {
  const auto [place, is_new] = index_.emplace(name, items_.size());
  if (!is_new) fail(ErrorKind::checkpoint, "the tensor '{}' appears twice", name);
  items_.emplace_back(std::move(name), std::move(tensor));
}

void StateDict::replace(std::string_view name, at::Tensor tensor) {
  (void)at(name);
  items_[index_.at(std::string(name))].second = std::move(tensor);
}

void StateDict::erase(std::string_view name) {
  (void)at(name);
  const auto position = index_.at(std::string(name));
  items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(position));
  index_.erase(std::string(name));
  for (auto& [other, index] : index_) {
    if (index > position) --index;
  }
}

bool StateDict::contains(std::string_view name) const { return index_.contains(std::string(name)); }

const at::Tensor& StateDict::at(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  if (found != index_.end()) return items_[found->second].second;
  std::vector<std::string> known;
  for (const auto& item : items_) known.push_back(item.first);
  const auto near = nearest_names(name, known);
  fail(ErrorKind::checkpoint, "there is no tensor '{}' among {}{}", name, items_.size(),
       near.empty() ? "" : fmt::format("; did you mean '{}'?", near.front()));
}

std::int64_t StateDict::n_parameters() const {
  std::int64_t total = 0;
  for (const auto& item : items_) total += item.second.numel();
  return total;
}

StateDictDifference StateDict::difference_to(const StateDict& found) const {
  StateDictDifference difference;
  for (const auto& [name, expected] : items_) {
    if (!found.contains(name)) {
      difference.missing.push_back(name);
      continue;
    }
    const auto& got = found.at(name);
    if (got.sizes() != expected.sizes()) {
      difference.mismatched.push_back(fmt::format("'{}' is {} in the file but {} in the model", name,
                                                  state_dict_detail::shape_text(got),
                                                  state_dict_detail::shape_text(expected)));
    } else if (got.is_floating_point() != expected.is_floating_point()) {
      difference.mismatched.push_back(fmt::format("'{}' holds {} in the file but {} in the model", name,
                                                  c10::toString(got.scalar_type()),
                                                  c10::toString(expected.scalar_type())));
    }
  }
  for (const auto& item : found) {
    if (!contains(item.first)) difference.unexpected.push_back(item.first);
  }
  return difference;
}

}  // namespace melisma
