// NumPy files: all valid fixtures read exactly, all malformed ones refused, ours readable again.
#include "data/sets/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using ::testing::ElementsAre;
using testing::golden_files;
using testing::golden_folder;
using ::testing::HasSubstr;
using testing::load_json;
using testing::near_all;
using testing::TemporaryFolder;

// Numbers of the listing: complex ones are pairs.
std::vector<double> flattened(const nlohmann::json& values) {
  std::vector<double> out;
  for (const auto& value : values) {
    if (value.is_array()) {
      for (const auto& part : value) out.push_back(part.get<double>());
    } else {
      out.push_back(value.get<double>());
    }
  }
  return out;
}

TEST(GoldenNpy, EveryValidFileReadsExactly) {
  const auto found = golden_files("formats/npy", "", ".npy");
  if (!found.has_topic) GTEST_SKIP();
  const auto expected = load_json(golden_folder("formats/npy") / "expected.json").at("files");
  int n_valid = 0;
  for (const auto& path : found.files) {
    const auto& about = expected.at(path.stem().string());
    if (!about.contains("values_c_order")) continue;
    const auto array = read_npy(path);
    EXPECT_EQ(array.shape, about.at("shape").get<std::vector<std::int64_t>>()) << path;
    const auto wanted = flattened(about.at("values_c_order"));
    const auto got = array.values<double>();
    EXPECT_TRUE(wanted.empty() ? got.empty() : static_cast<bool>(near_all(wanted, got, 0))) << path;
    ++n_valid;
  }
  EXPECT_EQ(n_valid, 24);
}

TEST(GoldenNpy, EveryMalformedFileIsRefusedWithItsName) {
  const auto found = golden_files("formats/npy", "bad_", ".npy");
  if (!found.has_topic) GTEST_SKIP();
  EXPECT_EQ(found.files.size(), 10u);
  for (const auto& path : found.files) {
    try {
      (void)read_npy(path);
      ADD_FAILURE() << path << " was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_THAT(error.what(), HasSubstr(path.filename().string()));
    }
  }
}

TEST(GoldenNpy, ArchivesReadStoredAndDeflated) {
  const auto folder = golden_folder("formats/npy");
  if (!std::filesystem::exists(folder)) GTEST_SKIP();
  std::vector<double> halves(12), row_numbers(12);
  for (std::size_t k = 0; k < 12; ++k) {
    halves[k] = 0.5 * static_cast<double>(k);
    row_numbers[k] = static_cast<double>(k);
  }
  const auto stored = read_npz(folder / "stored.npz");
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_EQ(stored[2].first, "sub/c");
  EXPECT_THAT(stored[2].second.values<double>(), ElementsAre(1.0));
  const auto deflated = read_npz(folder / "deflated.npz");
  ASSERT_EQ(deflated.size(), 2u);
  for (const auto* archive : {&stored, &deflated}) {
    EXPECT_EQ((*archive)[0].first, "a");
    EXPECT_TRUE(near_all(halves, (*archive)[0].second.values<double>(), 0));
    EXPECT_TRUE(near_all(row_numbers, (*archive)[1].second.values<double>(), 0));
  }
}

TEST(Npy, WhatIsWrittenReadsBack) {
  const TemporaryFolder folder;
  const std::vector<float> values{1.5F, -2, 3, 4, 5, 6};
  write_npy<float>(folder / "a.npy", values, std::vector<std::int64_t>{2, 3});
  const auto array = read_npy(folder / "a.npy");
  EXPECT_EQ(array.type, "f4");
  EXPECT_THAT(array.shape, ElementsAre(2, 3));
  EXPECT_EQ(array.values<float>(), values);
  write_npy<std::int64_t>(folder / "b.npy", std::vector<std::int64_t>{7}, std::vector<std::int64_t>{1});
  EXPECT_THAT(read_npy(folder / "b.npy").shape, ElementsAre(1));
  write_npy<std::uint8_t>(folder / "c.npy", std::vector<std::uint8_t>{7}, std::vector<std::int64_t>{});
  EXPECT_TRUE(read_npy(folder / "c.npy").shape.empty());
}

TEST(Npy, ACutOrFlippedArchiveIsRefused) {
  const auto path = golden_folder("formats/npy") / "deflated.npz";
  if (!std::filesystem::exists(path)) GTEST_SKIP();
  const TemporaryFolder folder;
  const auto whole = read_file(path);
  for (std::size_t size = 0; size < whole.size(); size += 13) {
    write_file_atomically(folder / "cut.npz", std::string_view(whole).substr(0, size));
    EXPECT_THROW((void)read_npz(folder / "cut.npz"), Error) << size << " bytes";
  }
  for (std::size_t at = 40; at < 120; ++at) {
    auto flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x55);
    write_file_atomically(folder / "flipped.npz", flipped);
    try {
      (void)read_npz(folder / "flipped.npz");
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace melisma
