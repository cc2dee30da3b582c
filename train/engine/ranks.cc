#include "train/engine/ranks.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace melisma {

std::string Ranks::text_of_first(const std::string& text) {
  if (is_alone()) return text;
  const auto length = at::full({}, static_cast<std::int64_t>(text.size()), at::kLong);
  copy_from_first({length});
  const auto bytes = at::zeros({length.item<std::int64_t>()}, at::kByte);
  if (is_first()) std::copy(text.begin(), text.end(), bytes.data_ptr<std::uint8_t>());
  if (bytes.numel() > 0) copy_from_first({bytes});
  const auto* data = bytes.const_data_ptr<std::uint8_t>();
  return {data, data + bytes.numel()};
}

std::vector<double> Ranks::numbers_of_first(std::vector<double> values) {
  if (is_alone() || values.empty()) return values;
  const auto numbers = at::tensor(values, at::kDouble);
  copy_from_first({numbers});
  const auto* data = numbers.const_data_ptr<double>();
  return {data, data + numbers.numel()};
}

Ranks& one_rank() {
  static OneRank alone;
  return alone;
}

}  // namespace melisma
