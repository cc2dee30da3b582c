// Merging against reference numbers (golden/evolution), and what must hold of it for any weights.
#include "models/merging/merge.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numbers>

#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/table.h"

namespace melisma {
namespace {
using testing::GoldenFile;
using ::testing::HasSubstr;
using testing::refusal_of;

at::Tensor double_of(const testing::GoldenTensor& golden) {
  auto values = golden.values;
  return at::from_blob(values.data(), golden.shape, at::kDouble).clone();
}

std::vector<double> values_of(const at::Tensor& tensor) {
  const auto flat = tensor.to(at::kDouble).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

// The tensors of a fixture, and what our arithmetic makes of them for one of its cases.
struct MergingFixture {
  at::Tensor base, a, b, c, near;
  std::vector<at::Tensor> three;

  explicit MergingFixture(const GoldenFile& file)
      : base(double_of(file.at("base"))),
        a(double_of(file.at("a"))),
        b(double_of(file.at("b"))),
        c(double_of(file.at("c"))),
        near(double_of(file.at("near"))),
        three{a, b, c} {}

  [[nodiscard]] at::Tensor merged_by_ties(const nlohmann::json& merge) const {
    return ties(base, three, merge["weights"].get<std::vector<double>>(),
                {.densities = merge["density"].get<std::vector<double>>(),
                 .scale = merge.value("lambda_", 1.0),
                 .normalise = merge.value("normalize", true)});
  }

  // base + scale * sum w_i (t_i - base), the weights made to sum to 1 if asked.
  [[nodiscard]] at::Tensor task_arithmetic(const nlohmann::json& merge) const {
    auto weights = merge["weights"].get<std::vector<double>>();
    double sum = 0;
    for (const auto w : weights) sum += w;
    double of_base = 1;
    for (auto& w : weights) {
      w *= merge.value("lambda_", 1.0) / (merge.value("normalize", false) ? sum : 1.0);
      of_base -= w;
    }
    weights.insert(weights.begin(), of_base);
    return weighted_sum(std::vector<at::Tensor>{base, a, b, c}, weights);
  }

  // Undefined for a method that is not merged here.
  [[nodiscard]] at::Tensor merged(const nlohmann::json& merge) const {
    const std::string name = merge["name"];
    const auto by = [&](std::string_view method, std::vector<double> weights, bool normalise) {
      return merge_by_sum(three,
                          {merge_weights(find_row(kMergeMethods, method, "method"), std::move(weights), 3, normalise)})
          .tensor;
    };
    if (name.starts_with("linear")) return by("sum", merge["weights"], merge["normalize"]);
    if (name == "weighted_sum") {
      const double t = merge["alpha"];
      return weighted_sum(std::vector<at::Tensor>{a, b}, std::vector<double>{1 - t, t});
    }
    if (name == "add_difference") return merge_by_difference(three, {{merge["alpha"].get<double>()}}).tensor;
    if (name == "slerp_collinear") return slerp(a, near, merge["t"]);
    if (name.starts_with("slerp_")) return slerp(a, b, merge["t"]);
    if (name == "karcher") {
      const std::vector<double> third(3, 1.0 / 3);
      return spherical_mean(three, third, {.most_steps = 10, .tolerance = 1e-5}).value();  // as the reference stops
    }
    if (name.starts_with("ties_")) return merged_by_ties(merge);
    if (name.starts_with("task_arithmetic")) return task_arithmetic(merge);
    return {};
  }
};

TEST(GoldenMerging, EveryMethodGivesTheReferencesNumbers) {
  const auto files = testing::golden_files("evolution", "merging", ".safetensors");
  if (!files.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& path : files.files) {
    const auto file = GoldenFile::load(path);
    const MergingFixture fixture(file);
    const auto cases = testing::load_json(std::filesystem::path(path).replace_extension(".json"))["cases"];
    int n_checked = 0;
    for (const auto& merge : cases) {
      const auto got = fixture.merged(merge);
      if (!got.defined()) continue;
      ++n_checked;
      const std::string name = merge["name"];
      EXPECT_TRUE(testing::near_all(file.at("merged." + name).values, values_of(got), name == "karcher" ? 1e-8 : 1e-12))
          << name;
    }
    EXPECT_EQ(n_checked, 15);
  }
}

at::Tensor some(std::int64_t seed, at::IntArrayRef shape = {4, 3}) {
  return at::sin(at::arange(c10::multiply_integers(shape), at::kDouble) * 1.7 + static_cast<double>(seed)).view(shape);
}

TEST(Merging, AllWeightOnOneModelIsThatModelToTheBit) {
  const auto a = some(1).to(at::kFloat), b = at::full_like(a, std::numeric_limits<float>::quiet_NaN());
  const std::vector<at::Tensor> both{a, b};
  for (const auto type : {at::kDouble, at::kFloat}) {
    const auto sum = weighted_sum(both, std::vector<double>{1, 0}, type);
    EXPECT_EQ(sum.scalar_type(), type);
    EXPECT_TRUE(sum.to(at::kFloat).equal(a));
  }
  EXPECT_EQ(weighted_sum(both, std::vector<double>{0, 0}).abs().max().item<double>(), 0);
}

TEST(Merging, SlerpGoesFromOneModelToTheOtherAtAnEvenPace) {
  const auto x = at::tensor({1.0, 0.0}), y = at::tensor({0.0, 1.0});
  EXPECT_TRUE(slerp(x, y, 0).allclose(x));
  EXPECT_TRUE(slerp(x, y, 1).allclose(y));
  const auto third = slerp(x, y, 1.0 / 3);  // thirty degrees up
  EXPECT_NEAR(third[0].item<double>(), std::cos(std::numbers::pi / 6), 1e-15);
  EXPECT_NEAR(third[1].item<double>(), std::sin(std::numbers::pi / 6), 1e-15);
  EXPECT_TRUE(slerp(x, at::zeros_like(x), 0.25).allclose(x * 0.75)) << "no arc to nothing: a straight line";
}

TEST(Merging, TheSphericalMeanOfTwoIsHalfwayAndDoesNotDependOnTheOrder) {
  const auto a = some(1), b = some(2) * 1.01, c = some(3);
  const std::vector<double> half{0.5, 0.5};
  const auto unit = [](const at::Tensor& t) { return t / at::linalg_vector_norm(t); };
  const auto mean = spherical_mean(std::vector<at::Tensor>{unit(a), unit(b)}, half);
  ASSERT_TRUE(mean);
  EXPECT_TRUE(mean->allclose(slerp(unit(a), unit(b), 0.5), 1e-12, 1e-12));
  const std::vector<double> forwards{0.5, 0.3, 0.2}, backwards{0.2, 0.3, 0.5};
  const auto one = spherical_mean(std::vector<at::Tensor>{a + 3, b + 3, c + 3}, forwards);
  const auto other = spherical_mean(std::vector<at::Tensor>{c + 3, b + 3, a + 3}, backwards);
  ASSERT_TRUE(one && other);
  EXPECT_TRUE(one->allclose(*other, 1e-12, 1e-12));
}

TEST(Merging, OppositeModelsHaveNoSphericalMeanAndAreSummed) {
  const auto a = some(1);
  const std::vector<at::Tensor> opposite{a, -a};
  EXPECT_FALSE(spherical_mean(opposite, std::vector<double>{0.5, 0.5}));
  EXPECT_FALSE(spherical_mean(opposite, std::vector<double>{0.7, 0.3}));
  const auto merged = merge_by_spherical_mean(opposite, {{0.7, 0.3}});
  EXPECT_TRUE(merged.is_fallback);
  EXPECT_TRUE(merged.tensor.allclose(a * 0.4));
}

TEST(Merging, TiesOfOneModelAtFullDensityIsThatModel) {
  const auto base = some(5), learned = some(6);
  EXPECT_TRUE(merge_by_ties(std::vector<at::Tensor>{base, learned}, {{1.0}}).tensor.allclose(learned, 1e-14, 1e-14));
}

std::vector<double> weights_for(const char* method, std::vector<double> given, std::size_t n_models,
                                bool normalise = true) {
  return merge_weights(find_row(kMergeMethods, method, "method"), std::move(given), n_models, normalise);
}

TEST(MergeWeights, AreNormalisedFilledInOrLeftAsTheyAre) {
  using Numbers = std::vector<double>;
  EXPECT_EQ(weights_for("sum", {}, 4), Numbers(4, 0.25));
  EXPECT_EQ(weights_for("sum", {3, 1}, 2), (Numbers{0.75, 0.25}));
  EXPECT_EQ(weights_for("sum", {3, 1}, 2, false), (Numbers{3, 1}));
  EXPECT_EQ(weights_for("sum", {0.25}, 2), (Numbers{0.75, 0.25}));
  EXPECT_EQ(weights_for("sum", {1.5, -0.5}, 2), (Numbers{1.5, -0.5}));
  EXPECT_EQ(weights_for("slerp", {2, 2}, 2, false), (Numbers{0.5, 0.5}));
  EXPECT_EQ(weights_for("add-difference", {}, 3), Numbers{1});
  EXPECT_EQ(weights_for("add-difference", {0.4}, 3), Numbers{0.4});
  EXPECT_EQ(weights_for("ties", {2, 3}, 3), (Numbers{2, 3}));
}

TEST(MergeWeights, WhatCannotBeMeantIsRefusedInWords) {
  const auto refusal = [](const char* method, std::vector<double> given, std::size_t n_models) {
    return refusal_of(ErrorKind::usage, [&] { (void)weights_for(method, std::move(given), n_models); });
  };
  EXPECT_EQ(refusal("sum", {}, 1), "sum takes at least 2 models, 1 is given");
  EXPECT_EQ(refusal("slerp", {}, 3), "slerp takes 2 models, 3 are given; karcher takes more");
  EXPECT_EQ(refusal("add-difference", {}, 2), "add-difference takes 3 models, 2 are given");
  EXPECT_EQ(refusal("sum", {0.5, 0.5}, 3), "sum takes 3 weights for these models, 2 are given: 0.5, 0.5");
  EXPECT_EQ(refusal("add-difference", {1, 2}, 3), "add-difference takes 1 weight for these models, 2 are given: 1, 2");
  EXPECT_THAT(refusal("karcher", {1, -1}, 2), HasSubstr("karcher takes no weight below 0 (-1 was given)"));
  EXPECT_EQ(refusal("sum", {1, -1}, 2),
            "the weights 1, -1 sum to 0, which cannot be made 1; leave them as they are with --as-given");
  EXPECT_THAT(refusal("sum", {1, std::numeric_limits<double>::infinity()}, 2), HasSubstr("a weight is inf"));
}

}  // namespace
}  // namespace melisma
