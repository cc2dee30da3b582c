// Weight files give back whatever was written into them; damaged pickles are refused or hold values; codes are near.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "models/weights/pickle_reader.h"
#include "models/weights/pth_file.h"
#include "models/weights/quantize.h"
#include "models/weights/safetensors.h"
#include "tests/support/golden.h"
#include "tests/support/property.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

using testing::any_finite;
using testing::any_text;
using testing::holds;
using testing::TemporaryFolder;

const std::vector<at::ScalarType>& types() {
  static const std::vector<at::ScalarType> all{at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong,
                                               at::kInt,   at::kShort,  at::kChar, at::kByte,     at::kBool};
  return all;
}

// Up to three dimensions of at most four, any bits: NaN and infinities too.
at::Tensor any_tensor() {
  auto shape = *rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, 5));
  shape.resize(std::min<std::size_t>(shape.size(), 3));
  const auto type = *rc::gen::elementOf(types());
  auto tensor = at::zeros(shape, at::TensorOptions().dtype(type));
  auto* bytes = static_cast<std::uint8_t*>(tensor.data_ptr());
  for (std::size_t i = 0; i < tensor.nbytes(); ++i) {
    bytes[i] = type == at::kBool ? *rc::gen::inRange<std::uint8_t>(0, 2) : *rc::gen::arbitrary<std::uint8_t>();
  }
  return tensor;
}

bool same_tensor(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
  const auto left = a.contiguous(), right = b.contiguous();
  return left.nbytes() == 0 || std::memcmp(left.data_ptr(), right.data_ptr(), left.nbytes()) == 0;
}

TEST(SafetensorsProperty, TensorsAndMetadataReadBackAndTheFileIsStable) {
  const TemporaryFolder folder;
  EXPECT_TRUE(holds(60, [&] {
    StateDict tensors;
    std::map<std::string, at::Tensor> meant;
    for (int n = *rc::gen::inRange(0, 6); n > 0; --n) meant["t" + *any_text()] = any_tensor();
    for (const auto& [name, tensor] : meant) tensors.add(name, tensor);
    FileMetadata metadata;
    for (int n = *rc::gen::inRange(0, 4); n > 0; --n) metadata["m" + *any_text()] = *any_text();
    write_safetensors(folder / "a", tensors, metadata);
    const auto read = read_safetensors(folder / "a");
    RC_ASSERT(read.metadata == metadata);
    RC_ASSERT(read.tensors.size() == meant.size());
    for (const auto& [name, tensor] : read.tensors) RC_ASSERT(same_tensor(tensor, meant.at(name)));
    write_safetensors(folder / "b", read.tensors, read.metadata);
    RC_ASSERT(read_file(folder / "b") == read_file(folder / "a"));
  }));
}

PickleValue any_pickle(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 9 : 6)) {
    case 0:
      return {};
    case 1:
      return *rc::gen::arbitrary<bool>();
    case 2:
      return *rc::gen::arbitrary<std::int64_t>();
    case 3:
      return *any_finite();
    case 4:
      return *any_text();
    case 5:
      return any_tensor();
    case 6:
    case 7: {
      auto sequence = std::make_shared<PickleSequence>();
      sequence->is_tuple = *rc::gen::arbitrary<bool>();
      for (int n = *rc::gen::inRange(0, 5); n > 0; --n) sequence->items.push_back(any_pickle(depth - 1));
      return sequence;
    }
    default: {
      auto dict = std::make_shared<PickleDict>();
      dict->is_ordered = *rc::gen::arbitrary<bool>();
      for (int n = *rc::gen::inRange(0, 5); n > 0; --n) {
        dict->set(std::to_string(n) + *any_text(), any_pickle(depth - 1));
      }
      return dict;
    }
  }
}

bool same_pickle(const PickleValue& a, const PickleValue& b) {
  if (a.kind_name() != b.kind_name()) return false;
  if (a.tensor() != nullptr) return b.tensor() != nullptr && same_tensor(*a.tensor(), *b.tensor());
  if (const auto* left = a.sequence(); left != nullptr) {
    const auto* right = b.sequence();
    if (right == nullptr || left->is_tuple != right->is_tuple || left->items.size() != right->items.size())
      return false;
    for (std::size_t i = 0; i < left->items.size(); ++i) {
      if (!same_pickle(left->items[i], right->items[i])) return false;
    }
    return true;
  }
  if (const auto* left = a.dict(); left != nullptr) {
    const auto* right = b.dict();
    if (right == nullptr || left->is_ordered != right->is_ordered || left->items.size() != right->items.size()) {
      return false;
    }
    for (std::size_t i = 0; i < left->items.size(); ++i) {
      if (!same_pickle(left->items[i].first, right->items[i].first) ||
          !same_pickle(left->items[i].second, right->items[i].second)) {
        return false;
      }
    }
    return true;
  }
  if (a.text() != nullptr) return b.text() != nullptr && *a.text() == *b.text();
  if (a.bytes() != nullptr) return b.bytes() != nullptr && *a.bytes() == *b.bytes();
  if (a.global() != nullptr) return b.global() != nullptr && *a.global() == *b.global();
  const auto number = a.number(), other = b.number();
  const bool same_number = number.has_value() == other.has_value() &&
                           (!number || *number == *other || (std::isnan(*number) && std::isnan(*other)));
  return same_number && a.boolean() == b.boolean() && a.integer() == b.integer();
}

TEST(PthProperty, ValuesOfEveryShapeReadBack) {
  const TemporaryFolder folder;
  EXPECT_TRUE(holds(80, [&] {
    auto root = std::make_shared<PickleDict>();
    for (int n = *rc::gen::inRange(0, 6); n > 0; --n) root->set("key" + std::to_string(n), any_pickle(3));
    write_pth(folder / "a.pth", root);
    RC_ASSERT(same_pickle(read_pth(folder / "a.pth"), root));
  }));
}

// A pickle as PyTorch's legacy files hold one after the other, with every kind of opcode that needs no storage.
std::string plain_pickle(const TemporaryFolder& folder) {
  auto inner = std::make_shared<PickleSequence>();
  inner->items = {std::int64_t{7}, 2.5, true, PickleValue(), "text", std::int64_t{1} << 40};
  auto root = std::make_shared<PickleDict>();
  root->set("list", inner);
  root->set("weights", at::arange(12, at::kFloat).view({3, 4}));
  write_pth(folder / "plain.pth", root);
  // The archive stores its members unpacked: the pickle is what lies between the protocol mark and the stop.
  const auto archive = read_file(folder / "plain.pth");
  const auto begin = archive.find(std::string("\x80\x02", 2));
  return archive.substr(begin, archive.find("PK", begin) - begin);
}

TEST(PickleProperty, DamagedPicklesAreRefusedOrHoldValuesThatCanBeKept) {
  const TemporaryFolder folder;
  const auto original = plain_pickle(folder);
  const auto numbers = at::arange(12, at::kFloat);
  const StorageSource storages = [&](const StorageRequest& request) -> std::optional<c10::Storage> {
    if (request.n_bytes() > numbers.nbytes()) fail(ErrorKind::checkpoint, "storage of {} bytes", request.n_bytes());
    return numbers.storage();
  };
  ASSERT_NO_THROW((void)read_pickle(std::as_bytes(std::span(original)), storages));
  int n_read = 0, n_refused = 0;
  EXPECT_TRUE(holds(1500, [&] {
    auto bytes = original;
    for (int change = *rc::gen::inRange(1, 3); change > 0; --change) {
      const auto at = static_cast<std::size_t>(*rc::gen::inRange<std::int64_t>(0, std::ssize(bytes)));
      switch (*rc::gen::inRange(0, 4)) {
        case 0:
          bytes.insert(at, 1, *rc::gen::arbitrary<char>());
          break;
        case 1:
          bytes.erase(at, static_cast<std::size_t>(*rc::gen::inRange(1, 4)));
          if (bytes.empty()) bytes = "\x80";
          break;
        default:
          bytes[at] = *rc::gen::arbitrary<char>();
      }
    }
    try {
      const auto read = read_pickle(std::as_bytes(std::span(bytes)), storages);
      RC_ASSERT(read.n_bytes_read <= bytes.size());
      write_pth(folder / "again.pth", read.value);
      RC_ASSERT(same_pickle(read_pth(folder / "again.pth"), read.value));
      ++n_read;
    } catch (const Error& error) {
      RC_ASSERT(error.kind() == ErrorKind::checkpoint);
      ++n_refused;
    }
  }));
  EXPECT_GT(n_read, 50);
  EXPECT_GT(n_refused, 100);
}

// Weights of all sizes from one number.
at::Tensor any_weights(std::int64_t rows, std::int64_t columns) {
  auto generator = at::detail::createCPUGenerator(*rc::gen::arbitrary<std::uint32_t>());
  const double size = std::exp2(*rc::gen::inRange(-30, 30));
  auto weights = at::randn({rows, columns}, generator, at::TensorOptions()) * size;
  if (*rc::gen::arbitrary<bool>()) weights[0].zero_();
  return weights;
}

TEST(QuantizeProperty, CodesAreWithinHalfAScaleAndReachTheirLargest) {
  EXPECT_TRUE(holds(300, [] {
    const auto rows = *rc::gen::inRange<std::int64_t>(1, 9), columns = *rc::gen::inRange<std::int64_t>(1, 40);
    const auto weights = any_weights(rows, columns);
    const auto axis = *rc::gen::inRange<std::int64_t>(-1, 2), largest = *rc::gen::element<std::int64_t>(7, 127);
    const auto quantized = quantize_symmetric(weights, axis, largest);
    RC_ASSERT(quantized.scale.numel() == (axis < 0 ? 1 : weights.size(axis)));
    RC_ASSERT(quantized.codes.abs().max().item<std::int64_t>() <= largest);
    const auto error = (weights.to(at::kDouble) - dequantize(quantized).to(at::kDouble)).abs();
    const auto bound = quantized.scale.to(at::kDouble) * (0.5 + 1e-6 * static_cast<double>(largest));
    RC_ASSERT((error <= bound).all().item<bool>());
    // The largest weight of each scale has the largest code, and codes of codes are the same codes.
    if (weights.abs().max().item<double>() > 0) RC_ASSERT(quantized.codes.abs().max().item<std::int64_t>() == largest);
    const auto again = quantize_symmetric(dequantize(quantized), axis, largest);
    RC_ASSERT(at::equal(again.codes, quantized.codes));
  }));
}

TEST(QuantizeProperty, ActivationsAreWithinAScaleAndZeroStaysZero) {
  EXPECT_TRUE(holds(300, [] {
    const auto rows = *rc::gen::inRange<std::int64_t>(1, 6), columns = *rc::gen::inRange<std::int64_t>(1, 40);
    auto x = any_weights(rows, columns);
    if (*rc::gen::arbitrary<bool>()) x = x.abs();
    const bool per_row = *rc::gen::arbitrary<bool>();
    const auto quantized = quantize_asymmetric(x, per_row);
    const auto shared = [&](const at::Tensor& t) { return t.to(at::kDouble).view({per_row ? rows : 1, 1}); };
    const auto scale = shared(quantized.scale);
    const auto values = (quantized.codes.to(at::kDouble) - shared(quantized.zero_point)) * scale;
    // Half a step of rounding, and half of the rounded zero point's where it cuts the ends.
    RC_ASSERT(((values - x.to(at::kDouble)).abs() <= scale * (1 + 1e-4)).all().item<bool>());
    RC_ASSERT((values.masked_select(x == 0).abs().sum() == 0).item<bool>());
  }));
}

}  // namespace
}  // namespace melisma
