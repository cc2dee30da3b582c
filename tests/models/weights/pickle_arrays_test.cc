// Arrays of numpy in pickles, byte by byte.
#include "models/weights/pickle_arrays.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>

#include "models/weights/pickle_reader.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
using std::string_literals::operator""s;

std::string bytes_of(const std::vector<double>& values) {
  std::string bytes(8 * values.size(), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// As numpy pickles two doubles: made empty and remembered as number 1, then filled. `rest` follows.
std::string two_numbers(const std::string& order, const std::string& code, const std::string& bytes,
                        const std::string& rest = "."s) {
  const auto text = [](const std::string& value) { return "X"s + static_cast<char>(value.size()) + "\0\0\0"s + value; };
  return "\x80\x02"s + "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85"s + "C\x01"s + "b\x87Rq\x01"s +
         "(K\x01K\x02\x85"s + "cnumpy\ndtype\n"s + text(code) + "\x89\x88\x87R"s + "(K\x03"s + text(order) +
         "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"s + "\x89" + "C" + static_cast<char>(bytes.size()) + bytes + "tb" +
         rest;
}

PickleValue read(const std::string& pickle) {
  return read_pickle(std::as_bytes(std::span(pickle)), [](const StorageRequest&) { return std::nullopt; }).value;
}

std::string refused(const std::string& pickle) {
  return testing::refusal_of(ErrorKind::checkpoint, [&] { (void)read(pickle); });
}

TEST(PickleArrays, AreFilledWhereverTheyAreRemembered) {
  const auto pair = read(two_numbers("<", "f8", bytes_of({1.5, -2}), "h\x01\x86."));
  ASSERT_NE(pair.sequence(), nullptr);
  for (const auto& item : pair.sequence()->items) {
    ASSERT_NE(item.tensor(), nullptr);
    EXPECT_TRUE(at::equal(*item.tensor(), at::tensor({1.5, -2.0}, at::kDouble)));
  }
}

TEST(PickleArrays, OfOtherNumbersBecomeDoubles) {
  EXPECT_TRUE(
      at::equal(*read(two_numbers("<", "i2", "\x05\0\xff\xff"s)).tensor(), at::tensor({5.0, -1.0}, at::kDouble)));
  EXPECT_TRUE(at::equal(*read(two_numbers("|", "b1", "\x01\0"s)).tensor(), at::tensor({1.0, 0.0}, at::kDouble)));
}

TEST(PickleArrays, WhatIsNoPlainNumberIsRefused) {
  EXPECT_EQ(refused(two_numbers("<", "f8", bytes_of({1}))), "its numpy array [2] needs 16 bytes, but has 8");
  EXPECT_EQ(refused(two_numbers("<", "M8", bytes_of({1, 2}))),
            "its pickle holds a numpy array of 'M8', which are no plain numbers");
  EXPECT_EQ(refused(two_numbers(">", "f8", bytes_of({1, 2}))), "its numbers are big-endian, which is not read");
  EXPECT_EQ(refused("\x80\x02"s + "cnumpy.core.multiarray\n_reconstruct\nccollections\nOrderedDict\nK\0\x85N\x87R."s),
            "its pickle calls 'numpy._reconstruct' with arguments that PyTorch does not write");
  EXPECT_EQ(refused("\x80\x02"s + "cnumpy\nndarray\nK\x02\x85R."s),
            "its pickle calls 'numpy.ndarray', which is no function");
  EXPECT_EQ(refused("\x80\x02"s + "cnumpy\nload\nX\x01\0\0\0a\x85R."s),
            "its pickle refers to 'numpy.load', which weights do not need: the file is unsafe or no weights file; "
            "nothing was run");
}

}  // namespace
}  // namespace melisma
