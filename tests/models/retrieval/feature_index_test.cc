#include "models/retrieval/feature_index.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "models/retrieval/kmeans.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using melisma::testing::golden_folder;
using melisma::testing::GoldenFile;
using melisma::testing::GoldenTensor;
using melisma::testing::near_all;
using melisma::testing::TemporaryFolder;

at::Tensor matrix(const GoldenTensor& t) { return at::tensor(t.floats(), at::kFloat).view(t.shape); }

std::vector<float> floats(const at::Tensor& t) {
  const auto flat = t.to(at::kFloat).contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

std::vector<double> whole_numbers(const at::Tensor& t) {
  const auto flat = t.to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

at::Tensor random_vectors(std::int64_t n, std::int64_t width, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn({n, width}, generator, at::TensorOptions());
}

// The fixture and the index file that faiss wrote of its vectors; skipped where they are absent.
class GoldenIndex : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto folder = golden_folder("rvc");
    if (!fs::exists(folder)) GTEST_SKIP() << "no fixtures";
    fixture = GoldenFile::load(folder / "index.safetensors");
    path = folder / "files" / "tiny.index";
  }
  GoldenFile fixture;
  fs::path path;
};

TEST_F(GoldenIndex, AFileOfFaissIsReadWhole) {
  const auto index = FeatureIndex::load(path);
  EXPECT_EQ(index.n_lists(), 51);
  EXPECT_TRUE(at::equal(index.vectors(), matrix(fixture.at("vectors"))));
}

TEST_F(GoldenIndex, AFileReadAndWrittenIsTheSameByteForByte) {
  const TemporaryFolder folder;
  FeatureIndex::load(path).save(folder / "again.index");
  EXPECT_TRUE(read_file(folder / "again.index") == read_file(path));
}

TEST_F(GoldenIndex, FindsTheNeighboursFaissFinds) {
  const auto index = FeatureIndex::load(path);
  const auto queries = matrix(fixture.at("queries"));
  for (const auto& [name, probes] : {std::pair("nprobe1", 1), {"nprobe_all", 51}}) {
    const auto found = index.search(queries, 8, probes);
    const auto prefix = std::string("ivf.") + name;
    EXPECT_EQ(whole_numbers(found.rows), fixture.at(prefix + ".ids").values) << name;
    EXPECT_TRUE(near_all(fixture.at(prefix + ".dist2").values, floats(found.squared_distances), 1e-5, 1e-5)) << name;
  }
  const auto exact = index.search(queries, 8, 51);
  EXPECT_EQ(whole_numbers(exact.rows), fixture.at("exact.ids").values);
}

TEST_F(GoldenIndex, BlendsAsTheToolsDoAndKeepsAnExactHitFinite) {
  const auto index = FeatureIndex::load(path);
  const auto queries = matrix(fixture.at("queries"));
  const auto exact_hits = fixture.json("nan_rows").get<std::vector<std::int64_t>>();
  ASSERT_EQ(exact_hits, std::vector<std::int64_t>{3});
  for (const double rate : {0.3, 0.75, 1.0}) {
    const auto blended = index.blend(queries, rate);
    const auto expected = matrix(fixture.at(fmt::format("blend.applio.{:.2}", rate).append(rate == 1 ? ".0" : "")));
    for (std::int64_t q = 0; q < queries.size(0); ++q) {
      // Query 3 is vector 17: there the tools have NaN.
      const auto row = q == 3 ? queries[q] : expected[q];
      EXPECT_TRUE(near_all(whole_numbers(row), floats(blended[q]), 1e-5, 1e-5)) << "rate " << rate << ", query " << q;
    }
  }
}

TEST_F(GoldenIndex, AListWithFewerVectorsThanAskedForSaysSo) {
  const auto vectors = matrix(fixture.at("short_list.vectors"));
  const auto index = FeatureIndex::build(vectors);
  const auto queries = matrix(fixture.at("queries")).slice(0, 0, 2);
  const auto found = index.search(queries);
  EXPECT_EQ(whole_numbers(found.rows), fixture.at("short_list.ids").values);
  EXPECT_TRUE(near_all(fixture.at("short_list.dist2").values, floats(found.squared_distances), 1e-5, 1e-5));
  EXPECT_TRUE(near_all(fixture.at("short_list.blend.applio").values, floats(index.blend(queries, 1)), 1e-5, 1e-5));
}

TEST_F(GoldenIndex, TheNumberOfListsFollowsTheToolsRule) {
  const auto& rule = fixture.at("n_ivf.rule").values;
  for (std::size_t i = 0; i < rule.size(); i += 2) {
    EXPECT_EQ(lists_for(static_cast<std::int64_t>(rule[i])), std::max(1.0, rule[i + 1])) << rule[i];
  }
}

TEST_F(GoldenIndex, ABuiltIndexFindsNearlyAllNeighboursInItsNearestLists) {
  const auto vectors = matrix(fixture.at("vectors"));
  const auto index = FeatureIndex::build(vectors, {.seed = 1});
  EXPECT_EQ(index.n_lists(), 51);
  EXPECT_TRUE(at::equal(index.vectors(), vectors));
  const auto all = index.search(vectors, 1, 1);
  EXPECT_EQ(all.rows.flatten().eq(at::arange(2000)).sum().item<std::int64_t>(), 2000);
  // Our lists must serve as well as faiss's own: distances of the neighbours found with one probe.
  const auto queries = matrix(fixture.at("queries"));
  const auto ours = index.search(queries).squared_distances.mean().item<double>();
  const auto theirs = FeatureIndex::load(path).search(queries).squared_distances.mean().item<double>();
  EXPECT_LT(ours, 1.1 * theirs);
}

TEST(FeatureIndex, EqualSeedsGiveEqualFiles) {
  const TemporaryFolder folder;
  const auto vectors = random_vectors(500, 16, 2);
  for (const auto* name : {"a", "b"}) FeatureIndex::build(vectors, {.seed = 4}).save(folder / name);
  EXPECT_TRUE(read_file(folder / "a") == read_file(folder / "b"));
}

TEST(FeatureIndex, OneVectorIsEnough) {
  const auto vector = random_vectors(1, 4, 3);
  const auto index = FeatureIndex::build(vector);
  EXPECT_TRUE(at::allclose(index.blend(random_vectors(3, 4, 4), 1), vector.expand({3, 4})));
}

TEST(FeatureIndex, RepeatedFramesBlendLikeSingleOnes) {
  const auto index = FeatureIndex::build(random_vectors(400, 8, 5));
  const auto features = random_vectors(6, 8, 6);
  const auto repeated = index.blend(features.repeat_interleave(2, 0), 0.5);
  EXPECT_TRUE(at::equal(repeated, index.blend(features, 0.5).repeat_interleave(2, 0)));
}

// Against as many of the vectors themselves, drawn at random.
TEST(SlowFeatureIndex, MoreThan200000VectorsBecomeCentresThatLieCloser) {
  const auto vectors = random_vectors(kReduceAbove + 1, 8, 10);
  const auto index = FeatureIndex::build(vectors);
  ASSERT_EQ(index.size(), kReduceTo);
  EXPECT_EQ(index.n_lists(), lists_for(kReduceTo));
  const auto some = vectors.slice(0, 0, 4000);
  const auto distance_to = [&](const at::Tensor& centres) {
    const auto nearest = centres.index_select(0, nearest_centres(some, centres));
    return (some - nearest).square().sum(1).mean().item<double>();
  };
  EXPECT_LT(distance_to(index.vectors()), 0.8 * distance_to(vectors.narrow(0, 100000, kReduceTo)));
  EXPECT_EQ(FeatureIndex::build(vectors.narrow(0, 0, 20000), {.reduce = false}).size(), 20000);
}

TEST(FeatureIndex, RefusesFeaturesOfAnotherWidth) {
  const auto index = FeatureIndex::build(random_vectors(50, 8, 7));
  try {
    (void)index.search(random_vectors(2, 9, 8));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "the index holds vectors of 8 columns, the features have 9");
  }
}

TEST(Kmeans, FindsSeparateClusters) {
  const auto centres = at::tensor({0.F, 0.F, 10.F, 0.F, 0.F, 10.F}).view({3, 2});
  const auto rows = centres.repeat_interleave(50, 0) + random_vectors(150, 2, 9) * 0.1;
  const auto found = kmeans(rows, {.centres = 3, .iterations = 20, .seed = 2});
  const auto nearest = nearest_centres(centres, found);
  EXPECT_LT((found.index_select(0, nearest) - centres).abs().max().item<double>(), 0.1);
}

// A damaged file gives a typed error, or (a changed float) an index; never a crash, never more memory than it holds.
TEST(IndexFile, AnyDamageIsATypedError) {
  const TemporaryFolder folder;
  FeatureIndex::build(random_vectors(120, 4, 10)).save(folder / "good.index");
  const auto good = read_file(folder / "good.index");
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); i += i < 400 ? 2 : 97) {
    for (const int change : {0, 1, 2}) {
      auto bad = good;
      if (change == 0) bad.resize(i);
      if (change == 1) bad[i] = static_cast<char>(bad[i] ^ 0x80);
      if (change == 2) bad[i] = '\xff';
      std::ofstream(folder / "bad.index", std::ios::binary) << bad;
      try {
        (void)FeatureIndex::load(folder / "bad.index");
        EXPECT_NE(change, 0) << "cut at byte " << i;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::checkpoint) << error.what();
        EXPECT_TRUE(error.message().starts_with("cannot read the index '" + (folder / "bad.index").string()));
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 150);
}

}  // namespace
}  // namespace melisma
