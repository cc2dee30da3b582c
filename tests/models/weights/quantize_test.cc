#include "models/weights/quantize.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <bit>

#include "models/weights/safetensors.h"
#include "models/weights/weight_norm.h"
#include "tests/support/golden.h"
#include "tools/base/hash.h"

namespace melisma {
namespace {
using melisma::testing::golden_folder;
using melisma::testing::load_json;

// The tensors of a topic's fixture; skips the test if it is not there.
#define LOAD_QUANT_FIXTURE(name)                            \
  const auto fixture_path = golden_folder("quant") / name;  \
  if (!std::filesystem::exists(fixture_path)) GTEST_SKIP(); \
  const auto fixture_file = read_safetensors(fixture_path); \
  const auto fixture = [&](const char* key) -> const at::Tensor& { return fixture_file.tensors.at(key); }

bool same(const at::Tensor& a, const at::Tensor& b) { return at::equal(a.to(at::kDouble), b.to(at::kDouble)); }

TEST(GoldenQuantize, CodesAndScalesAreExact) {
  LOAD_QUANT_FIXTURE("int8.safetensors");
  const auto rows = quantize_symmetric(fixture("W"), 0);
  EXPECT_TRUE(same(rows.codes, fixture("sym.qW")));
  EXPECT_TRUE(same(rows.scale.view(-1), fixture("sym.sW")));
  EXPECT_TRUE(same(dequantize(rows), fixture("weightonly.dequant")));
  const auto inputs = quantize_symmetric(fixture("X"), 0);
  EXPECT_TRUE(same(inputs.codes, fixture("sym.qX")));
  EXPECT_TRUE(same(inputs.scale.view(-1), fixture("sym.sX")));
  const auto whole = quantize_symmetric(fixture("W"), -1);
  EXPECT_TRUE(same(whole.codes, fixture("pertensor.qW")));
  EXPECT_TRUE(same(whole.scale.view(-1), fixture("pertensor.sW")));
}

TEST(GoldenQuantize, ConvolutionsUseTheirOutputAxis) {
  LOAD_QUANT_FIXTURE("int8.safetensors");
  const auto plain = quantize_symmetric(fixture("conv1d.w"), 0);
  EXPECT_TRUE(same(plain.codes, fixture("conv1d.q")));
  EXPECT_TRUE(same(plain.scale.view(-1), fixture("conv1d.scale")));
  const auto transposed = quantize_symmetric(fixture("convtr1d.w"), 1);
  EXPECT_EQ(transposed.scale.sizes(), (std::vector<std::int64_t>{1, 6, 1}));
  EXPECT_TRUE(same(transposed.codes, fixture("convtr1d.q")));
  EXPECT_TRUE(same(transposed.scale.view(-1), fixture("convtr1d.scale")));
}

TEST(GoldenQuantize, ActivationsWithAZeroPointAreExact) {
  LOAD_QUANT_FIXTURE("int8.safetensors");
  const auto rows = quantize_asymmetric(fixture("X"), true);
  EXPECT_TRUE(same(rows.codes, fixture("asym.qX_u8")));
  EXPECT_TRUE(same(rows.scale, fixture("asym.sX")));
  EXPECT_TRUE(same(rows.zero_point, fixture("asym.zpX_u8")));
  const auto whole = quantize_asymmetric(fixture("X"), false);
  EXPECT_TRUE(same(whole.codes, fixture("pertensor.qX_u8")));
  EXPECT_TRUE(same(whole.scale, fixture("pertensor.sX")));
  EXPECT_TRUE(same(whole.zero_point, fixture("pertensor.zpX_u8")));
}

TEST(GoldenQuantize, LayersComputedFromCodesGiveTheReferenceOutputs) {
  LOAD_QUANT_FIXTURE("int8.safetensors");
  const auto product = [](const at::Tensor& a, const at::Tensor& b) {
    return at::matmul(a.to(at::kInt), b.to(at::kInt).t());
  };
  const auto near = [](const at::Tensor& got, const at::Tensor& expected) {
    return ((got - expected).abs().max() <= 2e-6 * expected.abs().max()).item<bool>();
  };
  const auto w = quantize_symmetric(fixture("W"), 0);
  const auto bias = fixture("b"), scale_w = w.scale.view({1, -1});
  const auto x = quantize_symmetric(fixture("X"), 0);
  const auto sums = product(x.codes, w.codes);
  EXPECT_TRUE(same(sums, fixture("sym.acc_i32")));
  EXPECT_TRUE(near(sums.to(at::kFloat) * (x.scale * scale_w) + bias, fixture("sym.y")));
  const auto u = quantize_asymmetric(fixture("X"), true);
  const auto row_sums = w.codes.to(at::kInt).sum(1);
  const auto corrected = product(u.codes, w.codes) - u.zero_point.to(at::kInt).view({-1, 1}) * row_sums;
  EXPECT_TRUE(same(row_sums, fixture("asym.wsum_i32")));
  EXPECT_TRUE(same(product(u.codes, w.codes), fixture("asym.acc_i32_raw")));
  EXPECT_TRUE(same(corrected, fixture("asym.acc_i32_corrected")));
  EXPECT_TRUE(near(corrected.to(at::kFloat) * (u.scale.view({-1, 1}) * scale_w) + bias, fixture("asym.y")));
}

TEST(GoldenQuantize, SignalToNoiseRatiosOfWeightMatricesAreReproduced) {
  LOAD_QUANT_FIXTURE("snr_weights.safetensors");
  const auto expected = load_json(golden_folder("quant") / "snr_weights.json")["snr_db"];
  for (const auto& [name, rows] : expected.items()) {
    const auto w = fixture(name.c_str()).to(at::kFloat);
    const auto check = [&](const char* scheme, const at::Tensor& got, const at::Tensor& reference) {
      EXPECT_NEAR(snr_db(reference, got), rows[scheme].get<double>(), 0.001) << name << " " << scheme;
    };
    check("int8 per tensor", dequantize(quantize_symmetric(w, -1)), w);
    check("int8 per row", dequantize(quantize_symmetric(w, 0)), w);
    check("int4 per row", dequantize(quantize_symmetric(w, 0, 7)), w);
    const auto off_grid = w * 1.0009765625;
    check("bf16 (of w*1.0009765625)", off_grid.to(at::kBFloat16), off_grid);
    check("fp16 (of w*1.0009765625)", off_grid.to(at::kHalf), off_grid);
  }
}

// The generator-like net of the fixture, its weights and inputs changed by `weight` and `input` on the way.
struct ConvNet {
  const StateDict& tensors;
  std::function<at::Tensor(const at::Tensor&, std::int64_t axis)> weight;
  std::function<at::Tensor(const at::Tensor&)> input;
  std::function<at::Tensor(const at::Tensor&)> bias = [](const at::Tensor& b) { return b; };

  [[nodiscard]] at::Tensor w(const char* name, std::int64_t axis = 0) const { return weight(tensors.at(name), axis); }
  [[nodiscard]] at::Tensor operator()() const {
    auto h = at::conv1d(input(tensors.at("x")), w("w.pre"), bias(tensors.at("w.pre_b")), 1, 3);
    h = at::conv_transpose1d(input(at::leaky_relu(h, 0.1)), w("w.up", 1), bias(tensors.at("w.up_b")), 4, 2);
    h = h + at::conv1d(input(at::leaky_relu(h, 0.1)), w("w.res"), bias(tensors.at("w.res_b")), 1, 3, 3);
    return at::tanh(at::conv1d(input(at::leaky_relu(h, 0.01)), w("w.post"), {}, 1, 3));
  }
};

TEST(GoldenQuantize, OutputOfAConvolutionalNetDegradesAsTheReferenceSays) {
  LOAD_QUANT_FIXTURE("convnet.safetensors");
  const auto expected = load_json(golden_folder("quant") / "convnet.json")["output_snr_db"];
  const auto same_input = [](const at::Tensor& x) { return x; };
  const auto weights_only = [](std::int64_t largest, bool per_channel) {
    return [=](const at::Tensor& w, std::int64_t axis) {
      return dequantize(quantize_symmetric(w, per_channel ? axis : -1, largest));
    };
  };
  const auto symmetric = [](const at::Tensor& x) { return dequantize(quantize_symmetric(x, -1)); };
  const auto asymmetric = [](const at::Tensor& x) {
    const auto q = quantize_asymmetric(x.reshape({1, -1}), false);
    return ((q.codes.to(at::kFloat) - q.zero_point.to(at::kFloat)) * q.scale).view(x.sizes());
  };
  const auto compare = [&](const char* scheme, const ConvNet& net) {
    EXPECT_NEAR(snr_db(fixture("y_fp64"), net()), expected[scheme].get<double>(), 0.05) << scheme;
  };
  const auto check = [&](const char* scheme, auto weight, auto input) {
    compare(scheme, {fixture_file.tensors, weight, input});
  };
  check("weights int8 per channel", weights_only(127, true), same_input);
  check("weights int8 per tensor", weights_only(127, false), same_input);
  check("weights int4 per channel", weights_only(7, true), same_input);
  check("weights int8 + activations int8 symmetric per tensor (dynamic)", weights_only(127, true), symmetric);
  check("weights int8 + activations uint8 asymmetric per tensor (dynamic)", weights_only(127, true), asymmetric);
  // Casting a model rounds its biases too.
  for (const auto& [scheme, type] : {std::pair("weights fp16", at::kHalf), std::pair("weights bf16", at::kBFloat16)}) {
    const auto round = [type = type](const at::Tensor& x) { return x.to(type).to(at::kFloat); };
    compare(scheme,
            {fixture_file.tensors, [=](const at::Tensor& w, std::int64_t) { return round(w); }, same_input, round});
  }
}

TEST(GoldenQuantize, RoundingToHalfAndBfloat16IsExactBitForBit) {
  LOAD_QUANT_FIXTURE("rounding.safetensors");
  const auto& values = fixture("fp32");
  const auto number = ~at::isnan(values);
  const auto bits = [&](at::ScalarType type) { return values.to(type).view(at::kShort).masked_select(number); };
  EXPECT_TRUE(same(bits(at::kHalf), fixture("fp16_bits").masked_select(number)));
  EXPECT_TRUE(same(bits(at::kBFloat16), fixture("bf16_bits").masked_select(number)));
  for (const auto type : {at::kHalf, at::kBFloat16}) {
    EXPECT_TRUE(at::isnan(values.to(type)).masked_select(~number).all().item<bool>());
  }
}

TEST(GoldenQuantize, EveryHalfWidensExactly) {
  const auto path = golden_folder("quant") / "rounding.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP();
  const auto expected = load_json(path);
  const auto halves = at::arange(65536, at::kInt).to(at::kShort).view(at::kHalf);
  const auto wide = halves.masked_select(~at::isnan(halves)).to(at::kFloat);
  EXPECT_EQ(wide.numel(), expected["count_non_nan_fp16"].get<std::int64_t>());
  const std::span floats(wide.const_data_ptr<float>(), static_cast<std::size_t>(wide.numel()));
  EXPECT_EQ(sha256(std::as_bytes(floats)),
            expected["sha256_of_fp32_le_bytes_of_all_non_nan_fp16_codes_ascending"].get<std::string>());
}

TEST(Quantize, ARowOfZerosHasScaleOneAndNothingReachesMinus128) {
  const auto q = quantize_symmetric(at::tensor({0.f, 0.f, -1.f, 1.f}).view({2, 2}), 0);
  EXPECT_EQ(q.scale.view(-1)[0].item<float>(), 1.0f);
  EXPECT_EQ(q.codes.min().item<int>(), -127);
}

TEST(Quantize, AnInt8FileComesBackAsFloatsUnderPlainNames) {
  const auto w = at::randn({4, 3, 5});
  const auto q = quantize_symmetric(w, 0);
  ModelFile file;
  file.quantization = "int8";
  file.weights.add("a.weight", q.codes);
  file.weights.add("a.weight_scale", q.scale);
  file.weights.add("a.bias", at::ones({4}));
  const auto plain = dequantized(file);
  ASSERT_EQ(plain.weights.size(), 2u);
  EXPECT_TRUE(at::equal(plain.weights.at("a.weight"), dequantize(q)));
  EXPECT_EQ(plain.quantization, "none");
}

TEST(WeightNorm, FoldingAndUnfoldingGiveTheSameWeights) {
  StateDict trained;
  trained.add("up.weight_g", at::rand({4, 1, 1}) + 0.5);
  trained.add("up.weight_v", at::randn({4, 2, 3}));
  trained.add("up.bias", at::randn({2}));
  const auto folded = fold_weight_norm(trained);
  ASSERT_EQ(folded.size(), 2u);
  EXPECT_EQ(folded.items()[0].first, "up.weight");
  const auto again = fold_weight_norm(unfold_weight_norm(folded, trained));
  EXPECT_TRUE(at::allclose(again.at("up.weight"), folded.at("up.weight"), 1e-6, 1e-7));
  EXPECT_TRUE(unfold_weight_norm(folded, trained).contains("up.weight_v"));
}

}  // namespace
}  // namespace melisma
