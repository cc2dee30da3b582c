// One index of several: proportions, equal vectors, and what is found in it.
#include "models/retrieval/index_fusion.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {

// n vectors of `width` columns around `centre`.
FeatureIndex index_around(double centre, std::int64_t n, std::int64_t width = 8) {
  auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(n));
  return FeatureIndex::build(at::randn({n, width}, generator, at::TensorOptions()) + centre);
}

// How many vectors of the index lie around `centre`.
std::int64_t vectors_around(const FeatureIndex& index, double centre) {
  return (index.vectors().mean(1) - centre).abs().lt(10).sum().item<std::int64_t>();
}

TEST(IndexFusion, TakesFromEachParentInProportionToItsShare) {
  const std::vector<IndexShare> parents{
      {"a", index_around(-50, 300), 0.5}, {"b", index_around(0, 90), 0.3}, {"c", index_around(50, 400), 0.2}};
  const auto fused = fuse_indexes(parents);
  EXPECT_EQ(fused.taken, (std::vector<std::int64_t>{150, 90, 60}));
  EXPECT_EQ(fused.index.size(), 300);
  EXPECT_EQ(vectors_around(fused.index, -50), 150);
  EXPECT_EQ(vectors_around(fused.index, 0), 90);
  EXPECT_EQ(vectors_around(fused.index, 50), 60);
  const auto asked = parents[1].index.vectors().narrow(0, 0, 5);
  EXPECT_EQ(fused.index.search(asked, 1).squared_distances.max().item<double>(), 0) << "all of the smallest is there";
}

TEST(IndexFusion, AllTheShareIsTheWholeIndexAndNoneOfTheOther) {
  const std::vector<IndexShare> parents{{"a", index_around(-50, 300), 1}, {"b", index_around(50, 300), 0}};
  const auto fused = fuse_indexes(parents);
  EXPECT_TRUE(at::equal(fused.index.vectors(), parents[0].index.vectors()));
}

TEST(IndexFusion, EqualVectorsAreKeptOnce) {
  const std::vector<IndexShare> parents{{"a", index_around(0, 200), 0.5}, {"a", index_around(0, 200), 0.5}};
  const auto fused = fuse_indexes(parents);
  EXPECT_EQ(fused.index.size(), 200);
  EXPECT_EQ(fused.equal, 200);
}

TEST(IndexFusion, TheSameSeedGivesTheSameFile) {
  const testing::TemporaryFolder folder;
  const std::vector<IndexShare> parents{{"a", index_around(-5, 300), 0.5}, {"b", index_around(5, 100), 0.5}};
  fuse_indexes(parents, {.seed = 7}).index.save(folder / "one.index");
  fuse_indexes(parents, {.seed = 7}).index.save(folder / "two.index");
  fuse_indexes(parents, {.seed = 8}).index.save(folder / "other.index");
  EXPECT_EQ(read_file(folder / "one.index"), read_file(folder / "two.index"));
  EXPECT_NE(read_file(folder / "one.index"), read_file(folder / "other.index"));
}

TEST(IndexFusion, FeaturesOfDifferentWidthsAreRefused) {
  const std::vector<IndexShare> parents{{"a.index", index_around(0, 50), 1}, {"b.index", index_around(0, 50, 4), 1}};
  EXPECT_EQ(testing::refusal_of(ErrorKind::data, [&] { (void)fuse_indexes(parents); }),
            "the index 'a.index' holds features of 8 columns, 'b.index' of 4: they are not of one kind of voice");
}

}  // namespace
}  // namespace melisma
