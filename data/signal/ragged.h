// Rows of different lengths in one piece of memory.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace melisma {

template <class Item>
class Ragged {
 public:
  void add(std::span<const Item> row) {
    items_.insert(items_.end(), row.begin(), row.end());
    ends_.push_back(items_.size());
  }
  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  [[nodiscard]] std::span<const Item> operator[](std::size_t row) const {
    const auto first = row == 0 ? 0 : ends_[row - 1];
    return {items_.data() + first, ends_[row] - first};
  }

  // The rows of all parts, one part after the other.
  static Ragged joined(const std::vector<Ragged>& parts) {
    Ragged all;
    std::size_t n_items = 0, n_rows = 0;
    for (const auto& part : parts) n_items += part.items_.size(), n_rows += part.size();
    all.items_.reserve(n_items), all.ends_.reserve(n_rows);
    for (const auto& part : parts) {
      for (std::size_t row = 0; row < part.size(); ++row) all.add(part[row]);
    }
    return all;
  }

 private:
  std::vector<Item> items_;
  std::vector<std::size_t> ends_;  // of each row in items_
};

}  // namespace melisma
