// Voices made of voices: what is merged, what must be refused, and what a merged voice sounds like.
#include "models/rvc/voice_fusion.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/weights/weight_norm.h"
#include "tests/models/rvc/narrow_voice.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::narrow_model;
using testing::narrow_voice;
using Voices = std::vector<NamedVoice>;

Voices three_voices() { return {{"a.pth", narrow_model(1)}, {"b.pth", narrow_model(2)}, {"c.pth", narrow_model(3)}}; }
Voices two_voices() { return {{"a.pth", narrow_model(1)}, {"b.pth", narrow_model(2)}}; }

// Whether every tensor of the part is that of `expected`, to the bit.
bool part_is(const FusedVoice& fused, const ModelFile& expected, std::string_view part) {
  for (const auto& [name, tensor] : fused.file.weights) {
    if (name.starts_with(voice_part(part).prefix) && !tensor.equal(expected.weights.at(name))) return false;
  }
  return true;
}

bool is_voice_of(const FusedVoice& fused, const ModelFile& expected) {
  for (const auto& part : kVoiceParts) {
    if (!part_is(fused, expected, part.name)) return false;
  }
  return fused.file.weights.size() > 50;
}

// The largest difference between what the two multiply with.
double effective_difference(const ModelFile& a, const ModelFile& b) {
  double largest = 0;
  for (const auto& name : folded_names(a.weights)) {
    if (part_of_tensor(name) == nullptr) continue;
    const auto difference = folded_weight(a.weights, name) - folded_weight(b.weights, name);
    largest = std::max(largest, difference.abs().max().item<double>());
  }
  return largest;
}

TEST(VoiceFusion, AllWeightOnOneVoiceIsThatVoiceToTheBit) {
  const auto voices = three_voices();
  for (const bool is_effective : {true, false}) {
    EXPECT_TRUE(is_voice_of(fuse_voices(voices, {.weights = {1, 0, 0}, .is_effective = is_effective}), voices[0].file));
    EXPECT_TRUE(is_voice_of(fuse_voices(voices, {.weights = {0, 0, 5}, .is_effective = is_effective}), voices[2].file));
  }
  EXPECT_TRUE(is_voice_of(fuse_voices(voices, {.method = "add-difference", .weights = {0}}), voices[0].file));
}

TEST(VoiceFusion, KeepsThePosteriorEncoderForTraining) {
  const auto voices = two_voices();
  const auto fused = fuse_voices(voices, {.weights = {0.25, 0.75}, .keep_posterior = true});
  ASSERT_EQ(fused.file.weights.size(), voices[0].file.weights.size());
  for (const auto& name : folded_names(voices[0].file.weights)) {
    const auto a = folded_weight(voices[0].file.weights, name), b = folded_weight(voices[1].file.weights, name);
    const auto expected = 0.25 * a + 0.75 * b;
    EXPECT_LT((folded_weight(fused.file.weights, name) - expected).abs().max().item<double>(), 1e-5) << name;
  }
  Synthesizer network(narrow_voice(), {});
  EXPECT_EQ(load_pretrained(network, fused.file, "fused.safetensors", {}), "");
  const Voices extracted{{"a.pth", narrow_model(1)}, {"b.pth", narrow_model(2, {.posterior = false})}};
  EXPECT_THAT(
      testing::refusal_of(ErrorKind::checkpoint, [&] { (void)fuse_voices(extracted, {.keep_posterior = true}); }),
      HasSubstr("'b.pth' is an extracted voice without the posterior encoder (enc_q)"));
  EXPECT_EQ(fuse_voices(extracted, {}).file.weights.contains("enc_q.pre.weight"), false);
}

TEST(VoiceFusion, AVoiceWithItselfIsThatVoiceWhateverTheWay) {
  const Voices same{{"a.pth", narrow_model(1)}, {"a.pth", narrow_model(1)}};
  EXPECT_TRUE(is_voice_of(fuse_voices(same, {.is_effective = false}), same[0].file));
  for (const auto* method : {"sum", "slerp", "karcher", "ties"}) {
    const auto fused = fuse_voices(same, {.method = method});
    EXPECT_LT(effective_difference(fused.file, same[0].file), 1e-6) << method;
    EXPECT_TRUE(fused.fallbacks.empty()) << method;
  }
}

TEST(VoiceFusion, RawIsTheToolsArithmeticOnEveryStoredNumber) {
  const auto voices = two_voices();
  const double of_a = 0.3, of_b = 0.7;
  const auto fused = fuse_voices(voices, {.weights = {of_a, of_b}, .is_effective = false});
  for (const auto& [name, tensor] : fused.file.weights) {
    const auto a = voices[0].file.weights.at(name).contiguous(), b = voices[1].file.weights.at(name).contiguous();
    const auto got = tensor.contiguous();
    for (std::int64_t i = 0; i < got.numel(); ++i) {
      const volatile float left = a.const_data_ptr<float>()[i] * static_cast<float>(of_a);  // rounded, then added
      const volatile float right = b.const_data_ptr<float>()[i] * static_cast<float>(of_b);
      ASSERT_EQ(got.const_data_ptr<float>()[i], left + right) << name << " " << i;
    }
  }
}

TEST(VoiceFusion, EffectiveWeightsAreTheMeanOfWhatTheNetworksMultiplyWith) {
  const auto voices = three_voices();
  const auto fused = fuse_voices(voices, {.weights = {0.5, 0.3, 0.2}});
  ModelFile mean = voices[0].file;
  mean.weights = {};
  for (const auto& name : folded_names(voices[0].file.weights)) {
    mean.weights.add(name, folded_weight(voices[0].file.weights, name) * 0.5 +
                               folded_weight(voices[1].file.weights, name) * 0.3 +
                               folded_weight(voices[2].file.weights, name) * 0.2);
  }
  EXPECT_LT(effective_difference(fused.file, mean), 1e-6);
  EXPECT_TRUE(fused.file.weights.contains("dec.ups.0.weight_v")) << "the result keeps its norms and directions";
  const auto raw = fuse_voices(voices, {.weights = {0.5, 0.3, 0.2}, .is_effective = false});
  EXPECT_GT(effective_difference(raw.file, mean), 1e-3) << "raw is another voice";
}

TEST(VoiceFusion, APartHasItsOwnWeightsIfItIsGivenAny) {
  const auto voices = two_voices();
  const auto fused = fuse_voices(voices, {.weights = {1, 0}, .part_weights = {{"decoder", {0.0, 1.0}}}});
  EXPECT_TRUE(part_is(fused, voices[0].file, "text"));
  EXPECT_TRUE(part_is(fused, voices[0].file, "flow"));
  EXPECT_TRUE(part_is(fused, voices[0].file, "speaker"));
  EXPECT_TRUE(part_is(fused, voices[1].file, "decoder"));
  EXPECT_THAT(fused.weights.at("decoder"), ElementsAre(0, 1));
  EXPECT_EQ(voice_part("dec").name, "decoder");
  EXPECT_EQ(testing::refusal_of(ErrorKind::usage, [] { (void)voice_part("decodre"); }),
            "unknown part 'decodre'; did you mean 'decoder'? known: text, flow, decoder, speaker");
}

TEST(VoiceFusion, AddedDifferenceBringsOneVoiceToTheOther) {
  const auto voices = three_voices();  // A + (B - A) = B
  const Voices chain{voices[0], voices[1], voices[0]};
  EXPECT_LT(effective_difference(fuse_voices(chain, {.method = "add-difference", .weights = {1}}).file, voices[1].file),
            1e-6);
}

TEST(VoiceFusion, FoldedAndUnfoldedVoicesMeetOnTheirEffectiveWeights) {
  auto voices = two_voices();
  const auto expected = fuse_voices(voices, {});
  voices[1].file.weights = fold_weight_norm(voices[1].file.weights);
  EXPECT_LT(effective_difference(fuse_voices(voices, {}).file, expected.file), 1e-6);
  std::swap(voices[0], voices[1]);
  const auto folded = fuse_voices(voices, {});
  EXPECT_TRUE(folded.file.weights.contains("dec.ups.0.weight")) << "the first voice says in which form";
  EXPECT_LT(effective_difference(folded.file, expected.file), 1e-6);
  EXPECT_THAT(testing::refusal_of(ErrorKind::checkpoint, [&] { (void)fuse_voices(voices, {.is_effective = false}); }),
              HasSubstr("weight norm is folded in 'b.pth' but stored in 'a.pth'"));
}

TEST(VoiceFusion, TheResultSpeaksAndIsCalledByAllItsNames) {
  const c10::NoGradGuard no_grad;
  auto voices = two_voices();
  auto config = rvc_voice_config(voices[1].file);
  config.speaker_names = {"ann", "cleo", "dora"};
  voices[1].file.config = to_canonical_json(config);
  const auto fused = fuse_voices(voices, {});
  EXPECT_THAT(rvc_voice_config(fused.file).speaker_names, ElementsAre("ann", "bob + cleo", "dora"));
  EXPECT_FALSE(fused.file.weights.contains("enc_q.pre.weight"));
  const auto network = build_synthesizer(fused.file);
  const RvcInput input{.content = at::ones({1, 10, 20}),
                       .lengths = at::tensor({10}, at::kLong),
                       .coarse_pitch = at::full({1, 10}, 100, at::kLong),
                       .f0_hz = at::full({1, 10}, 220.0),
                       .speaker = at::zeros({1}, at::kLong)};
  const auto wave = network->infer(input, {}, {}).wave;
  EXPECT_EQ(wave.numel(), 10 * narrow_voice().hop);
  EXPECT_TRUE(at::isfinite(wave).all().item<bool>());
}

// A voice with another setting; its tensors do not matter, as settings are compared first.
NamedVoice other_voice(const std::function<void(RvcVoiceConfig&)>& change) {
  auto file = narrow_model(2);
  auto config = rvc_voice_config(file);
  change(config);
  file.config = to_canonical_json(config);
  return {"b.pth", file};
}

TEST(VoiceFusion, WhatDiffersIsNamedWithBothValues) {
  const auto refusal = [](const std::function<void(RvcVoiceConfig&)>& change) {
    const Voices voices{{"a.pth", narrow_model(1)}, other_voice(change)};
    return testing::refusal_of(ErrorKind::checkpoint, [&] { (void)fuse_voices(voices, {}); });
  };
  EXPECT_EQ(refusal([](auto& c) { c.network.speakers = 4; }),
            "'a.pth' and 'b.pth' cannot become one voice: speakers is 3 in 'a.pth' but 4 in 'b.pth'");
  EXPECT_THAT(refusal([](auto& c) { c.network = rvc_v2_32k(); }),
              HasSubstr("sample_rate_hz is 40000 in 'a.pth' but 32000 in 'b.pth'"));
  EXPECT_THAT(refusal([](auto& c) { c.network.content_channels = 768, c.network.n_layers = 3; }),
              HasSubstr("content_channels is 20 in 'a.pth' but 768 (v2) in 'b.pth'; n_layers is 2 in 'a.pth' but 3"));
  EXPECT_THAT(refusal([](auto& c) { c.network.use_f0 = false; }), HasSubstr("use_f0 is true in 'a.pth' but false"));
  EXPECT_THAT(refusal([](auto& c) { c.content_parameters = R"({"method":"hubert"})"; }),
              HasSubstr(R"(but {"method":"hubert"} in 'b.pth')"));
  EXPECT_EQ(refusal([](auto& c) { c.network.n_mels = 80, c.content_parameters = ""; }), "no error")
      << "what only training uses, and what a file does not say, is no difference";
}

}  // namespace
}  // namespace melisma
