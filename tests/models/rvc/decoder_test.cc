// The vocoders and their sources.
#include "models/rvc/decoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "models/rvc/refinegan_decoder.h"
#include "models/weights/weight_norm.h"
#include "tests/support/rvc_golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

using testing::formula_tensor;
using testing::golden_files;
using testing::golden_folder;
using testing::GoldenFile;
using testing::near_tensor;
using testing::tensor_of;

// What a decoder fixture is fed with, and what must come out.
struct DecoderFixture {
  GoldenFile numbers;
  RvcConfig config;

  DecoderFixture(const std::string& name, const std::string& vocoder)
      : numbers(GoldenFile::load(golden_folder("rvc") / (name + ".safetensors"))),
        config(testing::rvc_config_of(numbers.json("config"), 768)) {
    config.vocoder = vocoder;
  }
  static bool is_there(const std::string& name) {
    return std::filesystem::exists(golden_folder("rvc") / (name + ".safetensors"));
  }
  at::Tensor operator[](const std::string& name) const { return tensor_of(numbers.at(name)); }

  void expect_audio(const Decoder& decoder, const SourceNoise& source_noise, const LayerNoise& layers) const {
    const c10::NoGradGuard no_grad;
    at::Tensor source;
    if (config.use_f0) source = decoder.source()((*this)["in.f0"], source_noise);
    const auto made = decoder((*this)["in.z"], (*this)["in.g"], source, layers);
    EXPECT_TRUE(near_tensor(numbers.at("out.audio"), made, 1e-5));
  }
};

// The decoder with `weights`, weight norm folded in the file or not.
Owned<Decoder> loaded(const RvcConfig& config, const StateDict& weights, bool is_folded) {
  auto decoder = make_decoder(config, !is_folded);
  decoder->load(is_folded ? fold_weight_norm(weights) : weights);
  return decoder;
}

StateDict weights_beside(const std::string& name) {
  return testing::weights_of(GoldenFile::load(golden_folder("rvc") / (name + ".weights.safetensors")), "dec.");
}

TEST(GoldenDecoder, WithoutF0MatchesTheRvcTools) {
  if (!DecoderFixture::is_there("decoder_nof0")) GTEST_SKIP() << "no golden/rvc";
  DecoderFixture fixture("decoder_nof0", "hifigan");
  fixture.config.use_f0 = false;
  for (const bool is_folded : {false, true}) {
    fixture.expect_audio(*loaded(fixture.config, weights_beside("decoder_nof0"), is_folded), {}, {});
  }
}

TEST(GoldenDecoder, MrfMatchesApplio) {
  if (!DecoderFixture::is_there("decoder_mrf")) GTEST_SKIP() << "no golden/rvc";
  const DecoderFixture fixture("decoder_mrf", "mrf");
  for (const bool is_folded : {false, true}) {
    fixture.expect_audio(*loaded(fixture.config, weights_beside("decoder_mrf"), is_folded),
                         {fixture["rnd.1.randn"], fixture["rnd.0.rand"]}, {});
  }
}

// golden/rvc/README.md: weights and noise are formulas; the weights are rounded to half precision.
constexpr const char* kRefineGanSalt = "tiny/refinegan_32k/";

StateDict refinegan_weights(const Decoder& decoder) {
  StateDict weights;
  for (const auto& [name, tensor] : decoder.state_dict()) {
    auto weight = testing::formula_weight(kRefineGanSalt, "dec." + name, tensor.sizes());
    if (name == "conv_post.weight_g") weight = weight * 0.3;
    weights.add(name, weight.to(at::kHalf).to(at::kFloat));
  }
  return weights;
}

at::Tensor refinegan_noise(std::int64_t call, at::IntArrayRef shape) {
  return formula_tensor("tiny/refinegan_32k/noise" + std::to_string(call), shape, std::sqrt(3.0));
}

TEST(GoldenDecoder, RefineGanMatchesApplio) {
  if (!DecoderFixture::is_there("decoder_refinegan_32k")) GTEST_SKIP() << "no golden/rvc";
  DecoderFixture fixture("decoder_refinegan_32k", "refinegan");
  fixture.config.upsample_initial_channels = 512;  // as Applio has it, whatever the list says
  fixture.config.speaker_channels = 256;
  const auto weights = refinegan_weights(*make_decoder(fixture.config, true));
  // Calls 0 and 1 are the source's: a phase that only harmonics would use, and its noise.
  const auto calls = fixture.numbers.json("random_calls");
  const auto of_source = refinegan_noise(1, calls[1][1].get<std::vector<std::int64_t>>());
  for (const bool is_folded : {false, true}) {
    std::size_t asked = 2;
    fixture.expect_audio(*loaded(fixture.config, weights, is_folded), {of_source, {}},
                         [&](std::int64_t call, at::IntArrayRef shape) {
                           EXPECT_EQ(shape.vec(), calls[asked++][1].get<std::vector<std::int64_t>>()) << call;
                           return refinegan_noise(call + 2, shape);
                         });
    EXPECT_EQ(asked, calls.size());
  }
}

TEST(GoldenDecoder, RefineGanKeysComeInTheOrderOfApplio) {
  std::ifstream list(golden_folder("rvc") / "decoder_refinegan_32k.keys.txt");
  if (!list) GTEST_SKIP() << "no golden/rvc";
  DecoderFixture fixture("decoder_refinegan_32k", "refinegan");
  fixture.config.upsample_initial_channels = 512;
  fixture.config.speaker_channels = 256;
  std::string line;
  for (const auto& [name, tensor] : make_decoder(fixture.config, true)->state_dict()) {
    std::string shape;
    for (const auto size : tensor.sizes()) shape += (shape.empty() ? "" : "x") + std::to_string(size);
    ASSERT_TRUE(std::getline(list, line)) << "no line for " << name;
    EXPECT_EQ(line, "dec." + name + " " + shape);
  }
  EXPECT_FALSE(std::getline(list, line)) << line;
}

TEST(Decoder, HearsAsFarAsItsContextAndNotFurther) {
  const c10::NoGradGuard no_grad;
  for (const auto& vocoder : kRvcVocoders) {
    auto config = rvc_v2_32k();
    config.vocoder = vocoder.name;
    config.inter_channels = config.speaker_channels = 4;
    config.upsample_initial_channels = 32;
    const auto decoder = make_decoder(config, false);
    testing::fill_by_formula(*decoder, "reach/");
    decoder->to(at::kDouble);
    const auto context = decoder->context_frames(), middle = context + 10, frames = 2 * middle + 1;
    auto z = formula_tensor("z", {1, 4, frames}).to(at::kDouble);
    auto source = formula_tensor("source", {1, 1, frames * config.hop}).to(at::kDouble);
    const auto speaker = at::zeros({1, 4, 1}, at::kDouble);
    const auto before = (*decoder)(z, speaker, source);
    z.select(2, middle).add_(1);
    source.narrow(2, middle * config.hop, config.hop).add_(1);
    const auto changed = ((*decoder)(z, speaker, source) != before).view({frames, config.hop}).any(1).nonzero();
    const auto back = middle - changed.min().item<std::int64_t>(), ahead = changed.max().item<std::int64_t>() - middle;
    EXPECT_LE(std::max(back, ahead), context) << vocoder.name;
    EXPECT_GE(std::min(back, ahead), context * 3 / 4) << vocoder.name << " computes more than it needs";
  }
}

TEST(Decimator, KeepsWhatItsRateCanHoldAndRemovesTheRest) {
  const auto tone = [](double cycles_a_sample) {
    return at::sin(at::arange(8000, at::kDouble) * (2 * M_PI * cycles_a_sample)).to(at::kFloat).view({1, 1, -1});
  };
  for (const std::int64_t factor : {2, 8, 10}) {
    const Decimator decimator(factor);
    const auto rate = static_cast<double>(factor);
    const auto inner = [&](const at::Tensor& x) { return x.slice(2, 80, x.size(2) - 80); };
    ASSERT_EQ(decimator(tone(0.01)).size(2), 8000 / factor);
    const auto low = tone(0.2 / rate);
    EXPECT_LT((inner(decimator(low)) - inner(low.slice(2, 0, {}, factor))).abs().max().item<double>(), 1e-4);
    EXPECT_LT(inner(decimator(tone(0.6 / rate))).abs().max().item<double>(), 1e-4);
  }
  EXPECT_TRUE(at::equal(Decimator(1)(tone(0.3)), tone(0.3)));
}

TEST(GoldenSource, TwelveSecondsOfMovingPitchStayInPhase) {
  const auto found = golden_files("rvc", "source_long_", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no golden/rvc";
  for (const auto& path : found.files) {
    SCOPED_TRACE(path.filename().string());
    const auto numbers = GoldenFile::load(path);
    const SourceModule source(std::stoll(numbers.metadata.at("sr")), std::stoll(numbers.metadata.at("upp")));
    const auto f0 = tensor_of(numbers.at("in.f0"));
    const auto voiced = (f0 > 0).to(at::kFloat).repeat_interleave(std::stoll(numbers.metadata.at("upp")), 1);
    const auto sine = (0.1 * source.sines(f0).squeeze(2) * voiced).flatten();
    EXPECT_TRUE(near_tensor(numbers.at("exact"), sine.index_select(0, tensor_of(numbers.at("idx"))), 2e-6));
    EXPECT_TRUE(near_tensor(numbers.at("tail.exact"), sine.slice(0, -512), 2e-6));
    EXPECT_TRUE(near_tensor(numbers.at("tail.applio"), sine.slice(0, -512), 2e-5));
    EXPECT_TRUE(near_tensor(numbers.at("tail.webui"), sine.slice(0, -512), 2e-5));
  }
}

TEST(Source, APieceOfACurveSoundsAsInTheWhole) {
  auto generator = at::detail::createCPUGenerator(1);
  const auto f0 = at::rand({2, 40}, generator, at::TensorOptions()).mul(400).add(80);
  const auto phases = at::rand({2, 3}, generator, at::TensorOptions());
  for (const bool interpolates : {false, true}) {
    const SourceModule source(40000, 400, {.sines = 3, .interpolates_f0 = interpolates});
    const auto whole = source.sines(f0, phases).slice(1, 15 * 400);
    const auto piece = source.sines(f0.slice(1, 14), phases, source.cycles_before(f0).slice(1, 14)).slice(1, 400);
    EXPECT_LT((whole - piece).abs().max().item<double>(), 2e-6) << interpolates;
  }
}

TEST(Source, HarmonicsAreMultiplesAheadByTheirPhase) {
  const SourceModule source(1000, 10, {.sines = 3});
  const auto f0 = at::full({1, 20}, 20.0);  // a period is 50 samples
  const auto made = source.sines(f0, at::tensor({0.7, 0.25, 0.5}).view({1, 3}));
  const auto t = at::arange(1, 201, at::kDouble) / 50;
  for (std::int64_t k = 0; k < 3; ++k) {
    const auto ahead = std::array{0.0, 0.25, 0.5}[static_cast<std::size_t>(k)];  // the first is never ahead
    const auto expected = at::sin(2 * M_PI * (t * static_cast<double>(k + 1) + ahead));
    EXPECT_LT((made[0].select(1, k) - expected).abs().max().item<double>(), 1e-6) << k;
  }
}

}  // namespace
}  // namespace melisma
