#include "models/weights/pickle_globals.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "models/weights/pickle_arrays.h"
#include "tools/base/error.h"

namespace melisma {
namespace pickle_globals_detail {
namespace {

struct StorageType {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array kStorageTypes{
    StorageType{"torch.FloatStorage", at::kFloat},
    StorageType{"torch.HalfStorage", at::kHalf},
    StorageType{"torch.BFloat16Storage", at::kBFloat16},
    StorageType{"torch.DoubleStorage", at::kDouble},
    StorageType{"torch.LongStorage", at::kLong},
    StorageType{"torch.IntStorage", at::kInt},
    StorageType{"torch.ShortStorage", at::kShort},
    StorageType{"torch.CharStorage", at::kChar},
    StorageType{"torch.ByteStorage", at::kByte},
    StorageType{"torch.BoolStorage", at::kBool},
    StorageType{"torch.ComplexFloatStorage", at::kComplexFloat},
    StorageType{"torch.ComplexDoubleStorage", at::kComplexDouble},
    StorageType{"torch.storage.UntypedStorage", at::kByte},
    StorageType{"torch.UntypedStorage", at::kByte},
};

struct TypeName {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array kTypeNames{
    TypeName{"torch.float32", at::kFloat},
    TypeName{"torch.float16", at::kHalf},
    TypeName{"torch.bfloat16", at::kBFloat16},
    TypeName{"torch.float64", at::kDouble},
    TypeName{"torch.int64", at::kLong},
    TypeName{"torch.int32", at::kInt},
    TypeName{"torch.int16", at::kShort},
    TypeName{"torch.int8", at::kChar},
    TypeName{"torch.uint8", at::kByte},
    TypeName{"torch.bool", at::kBool},
    TypeName{"torch.float8_e4m3fn", at::kFloat8_e4m3fn},
    TypeName{"torch.float8_e5m2", at::kFloat8_e5m2},
    TypeName{"torch.complex64", at::kComplexFloat},
    TypeName{"torch.complex128", at::kComplexDouble},
};

constexpr std::array<std::string_view, 14> kCallables{
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
    "_codecs.encode",
    "builtins.set",
    "numpy.scalar",
    "numpy.dtype",
    "numpy.ndarray",  // only named, as what _reconstruct is to make
    "numpy._reconstruct",
    "numpy._frombuffer",
};

// Objects of training programs, which stand beside the weights in some checkpoints (fairseq's HuBERT among them): made
// as nothing, whatever they are built from.
constexpr std::array<std::string_view, 2> kDropped{"argparse.Namespace", "fairseq.data.dictionary.Dictionary"};

// numpy moved its functions between versions; the pickles still name the old places.
std::string plain_module(const std::string& module) {
  if (module == "__builtin__") return "builtins";
  for (const auto* place :
       {"numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric"}) {
    if (module == place) return "numpy";
  }
  return module;
}

template <class Rows>
const auto* row_named(const Rows& rows, std::string_view name) {
  const auto found = std::ranges::find(rows, name, [](const auto& row) { return row.name; });
  return found == rows.end() ? nullptr : &*found;
}

[[noreturn]] void refuse_arguments(const std::string& global) {
  fail(ErrorKind::checkpoint, "its pickle calls '{}' with arguments that PyTorch does not write", global);
}

const PickleValue& argument(const std::string& global, const std::vector<PickleValue>& arguments, std::size_t i) {
  if (i >= arguments.size()) refuse_arguments(global);
  return arguments[i];
}

std::vector<std::int64_t> whole_numbers(const std::string& global, const PickleValue& value) {
  if (value.sequence() == nullptr || value.sequence()->items.size() > 16) refuse_arguments(global);
  std::vector<std::int64_t> numbers;
  for (const auto& item : value.sequence()->items) {
    if (!item.integer() || *item.integer() < 0) {
      fail(ErrorKind::checkpoint, "a tensor has a negative or fractional size or stride");
    }
    numbers.push_back(*item.integer());
  }
  return numbers;
}

// Elements from the start of the storage to one past the last element of the tensor.
std::int64_t reach_of(std::int64_t offset, const std::vector<std::int64_t>& sizes,
                      const std::vector<std::int64_t>& strides, std::int64_t& numel) {
  numel = 1;
  auto reach = offset;
  bool overflow = __builtin_add_overflow(reach, 1, &reach);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::int64_t span = 0;
    overflow |= __builtin_mul_overflow(numel, sizes[i], &numel);
    overflow |= __builtin_mul_overflow(std::max<std::int64_t>(sizes[i] - 1, 0), strides[i], &span);
    overflow |= __builtin_add_overflow(reach, span, &reach);
  }
  if (overflow) fail(ErrorKind::checkpoint, "a tensor has more elements than can be counted");
  return numel == 0 ? 0 : reach;
}

// A tensor of `type` on `storage`, which is flat and maybe of another element type.
PickleValue view_of(const at::Tensor& storage, at::ScalarType type, const PickleValue& offset_value,
                    const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides) {
  const auto offset = offset_value.integer();
  if (!offset || *offset < 0 || strides.size() != sizes.size()) {
    fail(ErrorKind::checkpoint, "a tensor has an impossible offset or number of strides");
  }
  const auto capacity = static_cast<std::int64_t>(storage.nbytes() / c10::elementSize(type));
  std::int64_t numel = 0;
  const auto reach = reach_of(*offset, sizes, strides, numel);
  if (reach > capacity || numel > capacity) {
    fail(ErrorKind::checkpoint, "a tensor [{}] at element {} reaches outside its storage of {} elements",
         fmt::join(sizes, ","), *offset, capacity);
  }
  auto tensor = at::empty({0}, at::TensorOptions().dtype(type));
  return tensor.set_(storage.storage(), numel == 0 ? 0 : *offset, sizes, strides);
}

PickleValue rebuilt_tensor(const std::string& global, const std::vector<PickleValue>& arguments) {
  const auto& storage = argument(global, arguments, 0);
  const auto sizes = whole_numbers(global, argument(global, arguments, 2));
  const auto strides = whole_numbers(global, argument(global, arguments, 3));
  if (storage.is_none()) return {};
  if (storage.tensor() == nullptr) refuse_arguments(global);
  auto type = storage.tensor()->scalar_type();
  if (global.ends_with("_v3")) {
    const auto* name = argument(global, arguments, 6).global();
    const auto* row = name == nullptr ? nullptr : row_named(kTypeNames, *name);
    if (row == nullptr) refuse_arguments(global);
    type = row->type;
  }
  return view_of(*storage.tensor(), type, argument(global, arguments, 1), sizes, strides);
}

// numpy.scalar(dtype, bytes); a dtype travels as the text of its code: "f8", "i4", "b1".
PickleValue numpy_scalar(const std::string& global, const std::vector<PickleValue>& arguments) {
  const auto *code = argument(global, arguments, 0).text(), *bytes = argument(global, arguments, 1).bytes();
  if (code == nullptr || bytes == nullptr || bytes->size() > 8) refuse_arguments(global);
  const auto read = [&](auto value) {
    if (bytes->size() != sizeof(value)) refuse_arguments(global);
    std::memcpy(&value, bytes->data(), sizeof(value));
    return value;
  };
  if (*code == "f8") return read(double{});
  if (*code == "f4") return static_cast<double>(read(float{}));
  if (*code == "i8") return read(std::int64_t{});
  if (*code == "i4") return static_cast<std::int64_t>(read(std::int32_t{}));
  if (*code == "b1") return read(char{}) != 0;
  fail(ErrorKind::checkpoint, "its pickle holds a numpy number of the unknown type '{}'", *code);
}

// encode(text, 'latin1'): how Python 2 protocols carry bytes. Characters above 255 cannot be.
PickleValue encoded_bytes(const std::string& global, const std::vector<PickleValue>& arguments) {
  const auto* text = argument(global, arguments, 0).text();
  if (text == nullptr) refuse_arguments(global);
  std::string bytes;
  for (std::size_t i = 0; i < text->size(); ++i) {
    const auto c = static_cast<unsigned char>((*text)[i]);
    if (c < 0x80) {
      bytes += static_cast<char>(c);
    } else if ((c == 0xc2 || c == 0xc3) && i + 1 < text->size()) {
      bytes += static_cast<char>((c & 3) << 6 | (static_cast<unsigned char>((*text)[++i]) & 0x3f));
    } else {
      refuse_arguments(global);
    }
  }
  return PickleBytes{std::make_shared<const std::string>(std::move(bytes))};
}

}  // namespace
}  // namespace pickle_globals_detail

std::uint64_t StorageRequest::n_bytes() const {
  std::uint64_t total = 0;
  if (__builtin_mul_overflow(numel, static_cast<std::uint64_t>(c10::elementSize(type)), &total) ||
      total > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    fail(ErrorKind::checkpoint, "storage '{}' claims {} elements, more than can be counted", key, numel);
  }
  return total;
}

std::string allowed_global(const std::string& module, const std::string& name) {
  using namespace pickle_globals_detail;
  auto full = plain_module(module) + "." + name;
  if (std::ranges::find(kCallables, full) != kCallables.end() || row_named(kStorageTypes, full) != nullptr ||
      row_named(kTypeNames, full) != nullptr || std::ranges::find(kDropped, full) != kDropped.end()) {
    return full;
  }
  fail(
      ErrorKind::checkpoint,
      "its pickle refers to '{}.{}', which weights do not need: the file is unsafe or no weights file; nothing was run",
      module, name);
}

StorageRequest storage_request(const PickleValue& id) {
  using namespace pickle_globals_detail;
  const auto* tuple = id.sequence();
  const auto is_storage = tuple != nullptr && tuple->items.size() >= 5 && tuple->items[0].text() != nullptr &&
                          *tuple->items[0].text() == "storage" && tuple->items[1].global() != nullptr &&
                          tuple->items[2].text() != nullptr && tuple->items[4].integer();
  const auto* row = is_storage ? row_named(kStorageTypes, *tuple->items[1].global()) : nullptr;
  if (row == nullptr || *tuple->items[4].integer() < 0) {
    fail(ErrorKind::checkpoint, "its pickle asks for a storage in a way that PyTorch does not write");
  }
  if (tuple->items.size() > 5 && !tuple->items[5].is_none()) {
    fail(ErrorKind::checkpoint, "its storages are views of each other, which only PyTorch before 0.4 wrote");
  }
  return {*tuple->items[2].text(), row->type, static_cast<std::uint64_t>(*tuple->items[4].integer())};
}

PickleValue call_global(const std::string& global, const std::vector<PickleValue>& arguments) {
  using namespace pickle_globals_detail;
  if (std::ranges::find(kDropped, global) != kDropped.end()) return {};
  if (global.starts_with("torch._utils._rebuild_tensor")) return rebuilt_tensor(global, arguments);
  if (global == "torch._utils._rebuild_parameter") return argument(global, arguments, 0);
  if (global == "torch.Size" || global == "builtins.set") return argument(global, arguments, 0);
  if (global == "torch.device" || global == "numpy.dtype") return argument(global, arguments, 0);
  if (global == "numpy.scalar") return numpy_scalar(global, arguments);
  if (global == "numpy._reconstruct") {
    const auto* what = argument(global, arguments, 0).global();
    if (what == nullptr || *what != "numpy.ndarray") refuse_arguments(global);
    return empty_numpy_array();
  }
  if (global == "numpy._frombuffer") {
    const auto* order = argument(global, arguments, 3).text();
    if (order == nullptr || (*order != "C" && *order != "F")) refuse_arguments(global);
    return numpy_array_of(arguments[0], arguments[1], arguments[2], *order == "F");
  }
  if (global == "_codecs.encode") return encoded_bytes(global, arguments);
  fail(ErrorKind::checkpoint, "its pickle calls '{}', which is no function", global);
}

}  // namespace melisma
