#include "models/weights/pickle_arrays.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "tools/base/error.h"

namespace melisma {
namespace pickle_arrays_detail {
namespace {

struct ElementType {
  std::string_view code;
  at::ScalarType type;
};
constexpr std::array kElementTypes{
    ElementType{"f8", at::kDouble}, ElementType{"f4", at::kFloat}, ElementType{"f2", at::kHalf},
    ElementType{"i8", at::kLong},   ElementType{"i4", at::kInt},   ElementType{"i2", at::kShort},
    ElementType{"i1", at::kChar},   ElementType{"u1", at::kByte},  ElementType{"b1", at::kBool},
};

[[noreturn]] void refuse_state() {
  fail(ErrorKind::checkpoint, "its pickle holds a numpy array in a form that numpy does not write");
}

at::ScalarType type_of(const PickleValue& value) {
  const auto* code = value.text();
  if (code == nullptr) refuse_state();
  const auto row = std::ranges::find(kElementTypes, *code, &ElementType::code);
  if (row == kElementTypes.end()) {
    fail(ErrorKind::checkpoint, "its pickle holds a numpy array of '{}', which are no plain numbers", *code);
  }
  return row->type;
}

std::vector<std::int64_t> shape_of(const PickleValue& value) {
  if (value.sequence() == nullptr || value.sequence()->items.size() > 16) refuse_state();
  std::vector<std::int64_t> shape;
  for (const auto& item : value.sequence()->items) {
    if (!item.integer() || *item.integer() < 0) refuse_state();
    shape.push_back(*item.integer());
  }
  return shape;
}

// Bytes an array of that shape takes; Error where they cannot be counted.
std::int64_t n_bytes_of(const std::vector<std::int64_t>& shape, std::int64_t element) {
  std::int64_t total = element;
  for (const auto size : shape) {
    if (__builtin_mul_overflow(total, size, &total)) refuse_state();
  }
  return total;
}

}  // namespace
}  // namespace pickle_arrays_detail

at::Tensor empty_numpy_array() { return at::empty({0}, at::kDouble); }

at::Tensor numpy_array_of(const PickleValue& bytes, const PickleValue& type, const PickleValue& shape,
                          bool is_fortran) {
  using namespace pickle_arrays_detail;
  const auto element = type_of(type);
  auto sizes = shape_of(shape);
  if (bytes.bytes() == nullptr) refuse_state();
  const auto needed = n_bytes_of(sizes, static_cast<std::int64_t>(c10::elementSize(element)));
  if (needed != std::ssize(*bytes.bytes())) {
    fail(ErrorKind::checkpoint, "its numpy array [{}] needs {} bytes, but has {}", fmt::join(sizes, ","), needed,
         bytes.bytes()->size());
  }
  if (is_fortran) std::ranges::reverse(sizes);
  // at::from_blob needs the bytes to be aligned; a copy is.
  auto raw = at::empty({needed}, at::kByte);
  std::copy_n(bytes.bytes()->data(), needed, static_cast<char*>(raw.data_ptr()));
  auto array = raw.view(element).view(sizes).to(at::kDouble);
  if (!is_fortran) return array;
  std::vector<std::int64_t> reversed(sizes.size());
  for (std::size_t i = 0; i < reversed.size(); ++i)
    reversed[i] = std::ssize(reversed) - 1 - static_cast<std::int64_t>(i);
  return array.permute(reversed).contiguous();
}

void fill_numpy_array(at::Tensor& array, const PickleValue& state) {
  const auto* parts = state.sequence();
  if (parts == nullptr || parts->items.size() != 5 || !parts->items[3].boolean()) {
    pickle_arrays_detail::refuse_state();
  }
  const auto& items = parts->items;
  const auto filled = numpy_array_of(items[4], items[2], items[1], *items[3].boolean());
  array.resize_(filled.sizes()).copy_(filled);
}

}  // namespace melisma
