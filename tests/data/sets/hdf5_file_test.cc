// Other people's HDF5 files (written by h5py) read element by element; what cannot be read is refused with a reason.
#include "data/sets/hdf5_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using ::testing::ElementsAre;
using testing::golden_folder;
using testing::GoldenFile;
using ::testing::HasSubstr;
using testing::near_all;
using testing::TemporaryFolder;
namespace fs = std::filesystem;

template <class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    return error.what();
  }
  return "no error";
}

// Both files that a libhdf5 of today's distributions can read.
class GoldenHdf5 : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = golden_folder("formats/hdf5");
    if (!fs::exists(folder_)) GTEST_SKIP() << "no fixtures in " << folder_;
  }
  [[nodiscard]] Hdf5File file() const { return Hdf5File::open(folder_ / (std::string(GetParam()) + ".h5")); }
  // The expected values of `item`; the newer file repeats only those of the older that could differ.
  [[nodiscard]] std::vector<double> expected(const std::string& item) const {
    const auto all = GoldenFile::load(folder_ / "dataset.expected.safetensors");
    return all.at(std::string(GetParam()) + "/" + item).values;
  }
  fs::path folder_;
};

TEST_P(GoldenHdf5, NumbersOfEveryTypeAndStorageReadExactly) {
  const auto h5 = file();
  for (const auto* item : {"feat/big_endian_f64", "audio/contiguous_f32", "feat/mel", "feat/sparse_fill",
                           "filters/scaleoffset", "audio/wave_f16", "audio/wave_i16"}) {
    EXPECT_TRUE(near_all(expected(item), h5.read<double>(item), 0)) << item;
    EXPECT_TRUE(near_all(expected(item), h5.read<float>(item), 0)) << item;
  }
  EXPECT_THAT(h5.read<std::int32_t>("feat/scalar"), ElementsAre(-5));
  EXPECT_TRUE(h5.read<float>("feat/zero_length").empty());
  EXPECT_THAT(h5.describe("feat/zero_length").shape, ElementsAre(0, 4));
}

TEST_P(GoldenHdf5, PartsOfCompressedArraysRead) {
  const auto h5 = file();
  const auto all = expected("feat/mel");
  const auto part = h5.read_rows<float>("feat/mel", 15, 20);
  EXPECT_TRUE(near_all(std::span(all).subspan(15 * 8, 20 * 8), part, 0));
  EXPECT_THAT(message_of([&] { (void)h5.read_rows<float>("feat/mel", 30, 8); }), HasSubstr("it has 37"));
}

TEST_P(GoldenHdf5, TablesReadByColumn) {
  const auto h5 = file();
  EXPECT_THAT(h5.describe("meta/index").columns, ElementsAre("offset", "length", "score", "id"));
  EXPECT_THAT(h5.read_column<std::int64_t>("meta/index", "offset"), ElementsAre(0, 100, 250));
  EXPECT_THAT(h5.read_column<std::int32_t>("meta/index", "length"), ElementsAre(100, 150, 9));
  EXPECT_THAT(h5.read_column<float>("meta/index", "score"), ElementsAre(0.5F, 0.25F, -1.0F));
  EXPECT_THAT(h5.read_text_column("meta/index", "id"), ElementsAre("u1", "u2", "u3"));
  const auto pairs = expected("feat/complex64_as_re_im");
  const auto real = h5.read_column<double>("feat/complex64", "r");
  const auto imaginary = h5.read_column<double>("feat/complex64", "i");
  std::vector<double> joined;
  for (std::size_t i = 0; i < real.size(); ++i) joined.insert(joined.end(), {real[i], imaginary[i]});
  EXPECT_TRUE(near_all(pairs, joined, 0));
}

TEST_P(GoldenHdf5, TextListsAndFlagsRead) {
  const auto h5 = file();
  EXPECT_THAT(h5.read_text("meta/text"), ElementsAre("hello", "grüße", "", "声"));
  EXPECT_THAT(h5.read_text("meta/text_ascii_fixed"), ElementsAre("ab", "cde", ""));
  EXPECT_THAT(h5.read_lists("meta/lists"), ElementsAre(ElementsAre(1, 2, 3), ElementsAre(), ElementsAre(7)));
  EXPECT_THAT(h5.read<std::uint8_t>("meta/flags"), ElementsAre(1, 0, 1));
  EXPECT_THAT(h5.read<std::uint8_t>("meta/label"), ElementsAre(0, 2, 1));
}

TEST_P(GoldenHdf5, LinksAreFollowed) {
  const auto h5 = file();
  EXPECT_TRUE(h5.has("/soft"));
  EXPECT_TRUE(near_all(expected("feat/mel"), h5.read<double>("/soft"), 0));
  EXPECT_TRUE(near_all(expected("audio/wave_f16"), h5.read<double>("/hard"), 0));
  EXPECT_FALSE(h5.has("/feat/nothing/here"));
}

TEST_P(GoldenHdf5, AttributesOfEveryKindRead) {
  const auto h5 = file();
  EXPECT_EQ(h5.attribute_integer("/", "schema_version"), 3);
  EXPECT_THAT(h5.attribute<double>("/", "sample_rate"), ElementsAre(40000.0));
  EXPECT_EQ(h5.attribute_text("/", "created_by"), "h5py");
  EXPECT_EQ(h5.attribute_text("/", "config"), R"({"hop": 400, "n_mels": 8})");
  EXPECT_THAT(h5.attribute<float>("/", "mean"), ElementsAre(0.5F, -1.25F, 3.0F));
  EXPECT_THAT(h5.attribute<std::uint8_t>("/", "flags"), ElementsAre(1, 0, 1));
  EXPECT_TRUE(h5.attribute<float>("/", "empty").empty());
  EXPECT_THAT(h5.attribute_texts("/", "names"), ElementsAre("a", "bß", ""));
  EXPECT_EQ(h5.attribute_text("/", "fixed"), "abc");
  EXPECT_THAT(h5.attribute<std::int16_t>("/", "big_endian"), ElementsAre(1, 2, 3));
  EXPECT_THAT(h5.attribute<double>("feat/mel", "fmin"), ElementsAre(0.0));
  EXPECT_EQ(h5.attribute_text("feat/mel", "axis"), "frames,mels");
}

TEST_P(GoldenHdf5, AMissingFilterIsNamed) {
  const auto message = message_of([&] { (void)file().read<int>("filters/lzf_not_in_stock_libhdf5"); });
  EXPECT_THAT(message, HasSubstr("HDF5 filter 32000 (lzf), which is not installed here"));
  EXPECT_THAT(message, HasSubstr("h5repack -f GZIP=4"));
}

TEST_P(GoldenHdf5, WhatIsAbsentOrOfAnotherKindIsSaid) {
  const auto h5 = file();
  EXPECT_THAT(message_of([&] { (void)h5.read<float>("feat/mels"); }), HasSubstr("cannot read 'feat/mels'"));
  EXPECT_THAT(message_of([&] { (void)h5.read<float>("meta/text"); }), HasSubstr("it holds no numbers"));
  EXPECT_THAT(message_of([&] { (void)h5.read_text("feat/mel"); }), HasSubstr("it holds no text"));
  EXPECT_THAT(message_of([&] { (void)h5.attribute_text("/", "autor"); }), HasSubstr("no attribute 'autor'"));
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenHdf5, ::testing::Values("dataset", "dataset_v110"));

TEST(GoldenHdf5Latest, AFileOfALaterFormatIsRefusedNotCrashedOn) {
  const auto path = golden_folder("formats/hdf5") / "dataset_latest.h5";
  if (!fs::exists(path)) GTEST_SKIP();
  const auto message = message_of([&] {
    const auto h5 = Hdf5File::open(path);
    (void)h5.attribute_integer("/", "schema_version");
    (void)h5.children("/");
    (void)h5.read<float>("feat/mel");
  });
  EXPECT_THAT(message, HasSubstr("dataset_latest.h5"));
  EXPECT_THAT(message, ::testing::Not(HasSubstr("no error")));
}

TEST(Hdf5File, WhatIsWrittenReadsBack) {
  const TemporaryFolder folder;
  const auto path = folder / "a.h5";
  {
    auto h5 = Hdf5File::create(path);
    const std::vector<float> values{1, 2, 3, 4, 5, 6};
    const std::int64_t shape[] = {3, 2};
    h5.write<float>("/x/y/values", values, shape);
    h5.reserve<std::int16_t>("/wave", std::vector<std::int64_t>{4});
    h5.write_rows<std::int16_t>("/wave", 0, std::vector<std::int16_t>{1, -2});
    h5.write_rows<std::int16_t>("/wave", 2, std::vector<std::int16_t>{3, -4});
    h5.write_text("/names", std::vector<std::string>{"ä", "", "b"});
    h5.set_attribute("/", "rate", 40000);
    h5.set_attribute("/x/y", "parameters", std::string("{}"));
    h5.flush();
  }
  const auto h5 = Hdf5File::open(path);
  EXPECT_THAT(h5.read_rows<float>("/x/y/values", 1, 2), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(h5.read<std::int16_t>("/wave"), ElementsAre(1, -2, 3, -4));
  EXPECT_THAT(h5.read_text("/names"), ElementsAre("ä", "", "b"));
  EXPECT_EQ(h5.attribute_integer("/", "rate"), 40000);
  EXPECT_EQ(h5.attribute_text("/x/y", "parameters"), "{}");
  EXPECT_THAT(h5.children("/"), ElementsAre("names", "wave", "x"));
}

TEST(Hdf5File, AMissingOrForeignFileIsSaid) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of([&] { (void)Hdf5File::open(folder / "no.h5"); }), HasSubstr("there is no file"));
  std::ofstream(folder / "text.h5") << "hello";
  EXPECT_THAT(message_of([&] { (void)Hdf5File::open(folder / "text.h5"); }), HasSubstr("cannot be opened as HDF5"));
}

}  // namespace
}  // namespace melisma
