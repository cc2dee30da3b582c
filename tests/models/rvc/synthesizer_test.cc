#include "models/rvc/synthesizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/rvc_golden.h"
#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

using testing::formula_tensor;
using testing::golden_files;
using testing::golden_folder;
using testing::GoldenFile;
using testing::near_all;
using testing::near_tensor;
using testing::tensor_of;

struct SynthesizerFixture {
  GoldenFile numbers, weights;
  RvcConfig config;
  std::unique_ptr<Synthesizer> network;

  explicit SynthesizerFixture(const std::filesystem::path& path) {
    numbers = GoldenFile::load(path);
    auto beside = path;
    weights = GoldenFile::load(beside.replace_extension(".weights.safetensors"));
    config = testing::rvc_config_of(numbers.json("config"), numbers.metadata.at("version") == "v1" ? 256 : 768);
    network = std::make_unique<Synthesizer>(config);
    network->load(testing::weights_of(weights));
  }
  at::Tensor operator[](const std::string& name) const { return tensor_of(numbers.at(name)); }
  RvcInput input(const std::string& group) const {
    const auto in = group + ".in.";
    return {(*this)[in + "phone"], (*this)[in + "phone_lengths"], (*this)[in + "pitch"], (*this)[in + "pitchf"],
            (*this)[in + "sid"]};
  }
  // 5-stage stacks end in one channel and make quieter audio.
  double audio_tolerance() const { return config.upsample_rates.size() == 5 ? 2e-6 : 1e-5; }
};

// Every synth_*.safetensors with its weights.
template <class Check>
void for_each_synthesizer(const Check& check) {
  const auto found = golden_files("rvc", "synth_", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no golden/rvc";
  for (const auto& path : found.files) {
    if (path.filename().string().find(".weights.") != std::string::npos) continue;
    SCOPED_TRACE(path.filename().string());
    check(SynthesizerFixture(path));
  }
}

TEST(GoldenSynthesizer, TrainingForwardMatchesTheRvcTools) {
  for_each_synthesizer([](const SynthesizerFixture& f) {
    const c10::NoGradGuard no_grad;
    const TrainingNoise noise{f["train.rnd.z"], f["train.rnd.slice"], f["train.rnd.source"]};
    auto input = f.input("train");
    const auto out = f.network->forward(input, f["train.in.spec"], noise);
    const auto expect = [&](const char* name, const at::Tensor& got, double tolerance) {
      EXPECT_TRUE(near_tensor(f.numbers.at(std::string("train.out.") + name), got, tolerance)) << name;
    };
    expect("x_mask", out.mask, 0);
    expect("y_mask", out.mask, 0);
    expect("m_p", out.prior.mean, 5e-6);
    expect("logs_p", out.prior.log_std, 5e-6);
    expect("m_q", out.posterior.mean, 1e-5);
    expect("logs_q", out.posterior.log_std, 1e-5);
    expect("z", out.z, 3e-5);
    expect("z_p", out.z_prior, 3e-5);
    expect("ids_slice", out.slice_starts, 0);
    expect("audio", out.wave, f.audio_tolerance());
    const auto speaker = f.network->speaker_vector(input.speaker);
    EXPECT_TRUE(near_tensor(f.numbers.at("flow.reverse_of_z_p"),
                            f.network->flow().reverse(f["train.out.z_p"], out.mask, speaker), 1e-5));
  });
}

TEST(GoldenSynthesizer, InferenceMatchesTheRvcToolsFoldedOrNot) {
  for_each_synthesizer([](const SynthesizerFixture& f) {
    const c10::NoGradGuard no_grad;
    for (const bool folded : {false, true}) {
      f.network->fold(folded);
      const auto out = f.network->infer(f.input("infer"), f["infer.rnd.z"], f["infer.rnd.source"]);
      EXPECT_TRUE(near_tensor(f.numbers.at("infer.out.m_p"), out.prior.mean, 5e-6));
      EXPECT_TRUE(near_tensor(f.numbers.at("infer.out.logs_p"), out.prior.log_std, 5e-6));
      EXPECT_TRUE(near_tensor(f.numbers.at("infer.out.z_p"), out.z_prior, 1e-5));
      EXPECT_TRUE(near_tensor(f.numbers.at("infer.out.z"), out.z, 1e-5));
      EXPECT_TRUE(near_tensor(f.numbers.at("infer.out.audio"), out.wave, f.audio_tolerance()));
    }
  });
}

TEST(GoldenSynthesizer, SourceModuleMatchesTheRvcTools) {
  for_each_synthesizer([](const SynthesizerFixture& f) {
    const auto got = f.network->decoder().source()(f["source.in.f0"], {f["source.rnd"], {}});
    EXPECT_TRUE(near_tensor(f.numbers.at("source.out"), got.transpose(1, 2), 2e-6));
  });
}

TEST(GoldenSynthesizer, TextEncoderMatchesBelowAndAboveTheAttentionWindow) {
  for_each_synthesizer([](const SynthesizerFixture& f) {
    for (const std::string length : {"5", "12", "26"}) {
      const auto group = "enc_p.T" + length + ".";
      if (!f.numbers.has(group + "m")) continue;
      const auto mask = sequence_mask(f[group + "lengths"], std::stoll(length), at::kFloat);
      const auto got = f.network->encode_text(f[group + "phone"], f[group + "pitch"], mask);
      EXPECT_TRUE(near_tensor(f.numbers.at(group + "m"), got.mean, 5e-6)) << group;
      EXPECT_TRUE(near_tensor(f.numbers.at(group + "logs"), got.log_std, 5e-6)) << group;
    }
  });
}

TEST(GoldenFormula, ExamplesAreReproduced) {
  const auto path = golden_folder("rvc") / "formula_examples.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no golden/rvc";
  const auto numbers = GoldenFile::load(path);
  EXPECT_TRUE(near_all(numbers.at("u.hello").values, testing::formula_numbers("hello", 8), 0));
  const Synthesizer network(rvc_v2_40k());
  std::size_t seen = 0;
  for (const auto& [name, tensor] : network.state_dict()) {
    if (!numbers.has(name)) continue;
    ++seen;
    const auto weight = testing::formula_weight("full/", name, tensor.sizes()).flatten();
    const auto head = numbers.at(name);
    EXPECT_TRUE(near_tensor(head, weight.slice(0, 0, head.numel()), 0)) << name;
    EXPECT_TRUE(near_tensor(numbers.at(name + ".last"), weight.slice(0, -1), 0)) << name;
  }
  EXPECT_EQ(seen, 11u);
}

struct Counts {
  const char* preset;
  std::int64_t total, text, decoder, posterior, flow, speaker, small;
  std::size_t n_tensors, n_small;
};

TEST(Synthesizer, HasTheParameterCountsOfTheRvcTools) {
  constexpr Counts kCounts[] = {
      {"v1-32k", 36294338, 6404928, 14523010, 8823168, 6515328, 27904, 27471170, 619, 516},
      {"v1-40k", 36360514, 6404928, 14490882, 8921472, 6515328, 27904, 27439042, 560, 457},
      {"v1-48k", 36400834, 6404928, 14531202, 8921472, 6515328, 27904, 27479362, 619, 516},
      {"v2-32k", 36880706, 6503232, 15011074, 8823168, 6515328, 27904, 28057538, 560, 457},
      {"v2-40k", 36458818, 6503232, 14490882, 8921472, 6515328, 27904, 27537346, 560, 457},
      {"v2-48k", 37638466, 6503232, 15670530, 8921472, 6515328, 27904, 28716994, 560, 457},
      {"v2-24k", 36745538, 6503232, 14875906, 8823168, 6515328, 27904, 27922370, 560, 457},
  };
  for (const auto& counts : kCounts) {
    SCOPED_TRACE(counts.preset);
    const auto config = find_row(kRvcConfigs, counts.preset, "RVC configuration").make();
    EXPECT_NO_THROW(check_config(config));
    std::map<std::string, std::int64_t> parts;
    const Synthesizer whole(config), small(config, {.posterior = false});
    for (const auto& [name, tensor] : whole.parameters()) parts[name.substr(0, name.find('.'))] += tensor.numel();
    EXPECT_EQ(whole.n_parameters(), counts.total);
    EXPECT_EQ(parts["enc_p"], counts.text);
    EXPECT_EQ(parts["dec"], counts.decoder);
    EXPECT_EQ(parts["enc_q"], counts.posterior);
    EXPECT_EQ(parts["flow"], counts.flow);
    EXPECT_EQ(parts["emb_g"], counts.speaker);
    EXPECT_EQ(whole.parameters().size(), counts.n_tensors);
    EXPECT_EQ(small.n_parameters(), counts.small);
    EXPECT_EQ(small.parameters().size(), counts.n_small);
  }
  EXPECT_EQ(Synthesizer(rvc_v2_40k(), {.posterior = false, .weight_norm = false}).n_parameters(), 27514690);
}

TEST(GoldenSynthesizer, KeysComeInTheOrderOfTheRvcTools) {
  std::ifstream list(golden_folder("rvc") / "full_v2_40k.keys.txt");
  if (!list) GTEST_SKIP() << "no golden/rvc";
  const Synthesizer network(rvc_v2_40k());
  for (const auto& [name, tensor] : network.state_dict()) {
    std::string shape;
    for (const auto size : tensor.sizes()) shape += (shape.empty() ? "" : "x") + std::to_string(size);
    std::string line;
    ASSERT_TRUE(std::getline(list, line)) << "no line for " << name;
    EXPECT_EQ(line, name + " " + shape);
  }
  std::string extra;
  EXPECT_FALSE(std::getline(list, extra)) << extra;
}

TEST(GoldenSynthesizer, TheFullSizeNetworkMatchesTheRvcTools) {
  const auto path = golden_folder("rvc") / "full_v2_40k.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no golden/rvc";
  const auto numbers = GoldenFile::load(path);
  const c10::NoGradGuard no_grad;
  Synthesizer network(rvc_v2_40k());
  testing::fill_by_formula(network, "full/");
  const auto frames = std::int64_t{40};
  const auto root3 = std::sqrt(3.0);
  const RvcInput input{formula_tensor("full/in.phone", {1, frames, 768}), at::full({1}, frames, at::kLong),
                       tensor_of(numbers.at("in.pitch")), tensor_of(numbers.at("in.f0")), at::full({1}, 17, at::kLong)};
  const auto latent_noise = formula_tensor("full/in.z_noise", {1, 192, frames}, root3);
  const auto source_noise = formula_tensor("full/in.src_noise", {1, 16000, 1}, root3);
  const auto thinned = [](const at::Tensor& t) { return t.slice(1, 0, {}, 8); };
  const auto expect = [&](const char* name, const at::Tensor& got, double tolerance) {
    EXPECT_TRUE(near_tensor(numbers.at(name), got, tolerance)) << name;
  };
  const auto spoken = network.infer(input, latent_noise, source_noise);
  expect("infer.m_p", thinned(spoken.prior.mean), 5e-5);
  expect("infer.logs_p", thinned(spoken.prior.log_std), 5e-5);
  expect("infer.z", thinned(spoken.z), 5e-5);
  expect("infer.audio", spoken.wave, 2e-5);
  const auto trained = network.forward(input, formula_tensor("full/in.spec", {1, 1025, frames}).abs(),
                                       {latent_noise, at::full({1}, 0.5), source_noise.slice(1, 0, 12800)});
  expect("train.m_q", thinned(trained.posterior.mean), 5e-5);
  expect("train.logs_q", thinned(trained.posterior.log_std), 5e-5);
  expect("train.z_p", thinned(trained.z_prior), 5e-5);
  expect("train.ids_slice", trained.slice_starts, 0);
  expect("train.audio", trained.wave, 2e-5);
}

TEST(Synthesizer, HasTheParameterCountsOfApplioWithOtherVocoders) {
  auto config = rvc_v2_32k();
  const auto expect = [&](const char* vocoder, std::int64_t n_parameters, std::size_t n_tensors) {
    config.vocoder = vocoder;
    EXPECT_NO_THROW(check_config(config));
    const Synthesizer network(config);
    EXPECT_EQ(network.n_parameters(), n_parameters) << vocoder;
    EXPECT_EQ(network.parameters().size(), n_tensors) << vocoder;
  };
  expect("mrf", 36881228, 563);
  expect("refinegan", 35096850, 588);
}

TEST(Synthesizer, WithoutPosteriorEncoderItSaysThatItCannotBeTrained) {
  auto config = rvc_v2_40k();
  config.hidden_channels = config.filter_channels = config.inter_channels = 4;
  config.upsample_initial_channels = 16;
  const Synthesizer network(config, {.posterior = false});
  EXPECT_THROW((void)network.forward({}, {}, {}), Error);
}

TEST(RvcConfig, ContradictionsAreNamed) {
  const auto message = [](auto change) {
    auto config = rvc_v2_40k();
    change(config);
    try {
      check_config(config);
    } catch (const Error& error) {
      return error.message();
    }
    return std::string("accepted");
  };
  EXPECT_EQ(message([](RvcConfig& c) { c.hop = 480; }),
            "upsample_rates multiply to 400 samples a frame but hop is 480");
  EXPECT_EQ(message([](RvcConfig& c) { c.upsample_kernels.pop_back(); }),
            "upsample_rates has 4 stages but upsample_kernels has 3");
  EXPECT_EQ(message([](RvcConfig& c) { c.sample_rate_hz = 48000; }),
            "hop = 400 at 48000 Hz is not 100 frames a second; features have 100");
  EXPECT_EQ(message([](RvcConfig& c) { c.n_heads = 5; }), "hidden_channels = 192 is not a multiple of n_heads = 5");
  EXPECT_EQ(message([](RvcConfig& c) { c.upsample_initial_channels = 8; }),
            "upsample_initial_channels = 8 is halved to nothing by 4 stages");
  EXPECT_EQ(message([](RvcConfig& c) { c.vocoder = "mrf", c.use_f0 = false; }),
            "the vocoder 'mrf' needs a pitch curve: use_f0 cannot be false");
  EXPECT_EQ(message([](RvcConfig& c) { c.vocoder = "refinegan", c.upsample_initial_channels = 48; }),
            "upsample_initial_channels = 48 is not a multiple of 32, as refinegan with 4 stages needs");
  EXPECT_EQ(message([](RvcConfig& c) { c.vocoder = "refine"; }),
            "unknown vocoder 'refine'; did you mean 'refinegan'? known: hifigan, mrf, refinegan");
}

}  // namespace
}  // namespace melisma
