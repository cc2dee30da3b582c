// Likeness of voices by their weights.
#include "models/rvc/similarity.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/weights/weight_norm.h"
#include "tests/models/rvc/narrow_voice.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using testing::narrow_model;
using testing::narrow_voice;

TEST(VoiceSimilarity, AVoiceIsLikeItselfAndAStrangerIsNot) {
  const NamedVoice a{"a", narrow_model(1)}, b{"b", narrow_model(2)};
  for (const auto& part : part_similarities(a, a)) {
    EXPECT_NEAR(part.cosine, 1, 1e-12) << part.part;
    EXPECT_EQ(part.relative_distance, 0) << part.part;
    EXPECT_GT(part.parameters, 0) << part.part;
  }
  EXPECT_NEAR(attention_similarity(a, a).mean, 100, 1e-6);
  const auto parts = part_similarities(a, b);
  EXPECT_LT(std::abs(parts[0].cosine), 0.5);
  EXPECT_LT(attention_similarity(a, b).mean, 60);
}

TEST(VoiceSimilarity, KnowsTheAngleAndTheDistanceOfAChange) {
  const NamedVoice a{"a", narrow_model(1)};
  auto b = a;
  const auto& table = a.file.weights.at("emb_g.weight");
  const auto across = at::randn_like(table);
  const auto norm = at::linalg_vector_norm(table).item<double>();
  auto orthogonal = across - table * ((across * table).sum() / table.square().sum());
  orthogonal *= norm / at::linalg_vector_norm(orthogonal).item<double>();
  b.file.weights.replace("emb_g.weight", table + orthogonal);  // 45 degrees away, sqrt(2) as long
  const auto speaker = part_similarities(a, b).back();
  EXPECT_EQ(speaker.part, "speaker");
  EXPECT_NEAR(speaker.cosine, std::sqrt(0.5), 1e-5);
  EXPECT_NEAR(speaker.relative_distance, 1, 1e-5);
}

TEST(VoiceSimilarity, DoesNotDependOnHowWeightNormIsStored) {
  const NamedVoice a{"a", narrow_model(1)};
  auto scaled = a, folded = a;
  scaled.file.weights.replace("dec.ups.0.weight_v", a.file.weights.at("dec.ups.0.weight_v") * 3);  // norm says how long
  folded.file.weights = fold_weight_norm(a.file.weights);
  for (const auto& other : {scaled, folded}) {
    for (const auto& part : part_similarities(a, other)) EXPECT_NEAR(part.cosine, 1, 1e-9) << part.part;
  }
}

TEST(VoiceSimilarity, TheProbeAsksForScaledAttentionWithBiasesHeadByHead) {
  const NamedVoice a{"a", narrow_model(1)};
  auto b = a;  // one head's values negated: half of each answer turns round
  const auto value = std::string("enc_p.encoder.attn_layers.0.conv_v");
  for (const auto* part : {".weight", ".bias"}) {
    auto changed = a.file.weights.at(value + part).clone();
    changed.narrow(0, 0, changed.size(0) / 2).neg_();
    b.file.weights.replace(value + part, changed);
  }
  const auto similarity = attention_similarity(a, b, {.seed = 3});
  ASSERT_EQ(similarity.layers.size(), 2U);
  EXPECT_LT(similarity.layers[0], 99);
  EXPECT_GT(similarity.layers[0], -99);
  EXPECT_NEAR(similarity.layers[1], 100, 1e-6);
  EXPECT_NEAR(similarity.mean, (similarity.layers[0] + similarity.layers[1]) / 2, 1e-9);
  EXPECT_EQ(attention_similarity(a, b, {.seed = 3}).layers, similarity.layers);
  EXPECT_NE(attention_similarity(a, b, {.seed = 4}).layers, similarity.layers);
}

TEST(VoiceSimilarity, WhatDoesNotCorrespondHasNoNumberButAReason) {
  const NamedVoice a{"a", narrow_model(1)};
  auto b = a;
  auto config = rvc_voice_config(a.file);
  config.network.n_heads = 4;
  b.name = "b";
  b.file.config = to_canonical_json(config);
  b.file.weights.replace("emb_g.weight", at::ones({5, 4}));
  EXPECT_EQ(part_similarities(a, b).back().why_none, "'emb_g.weight' is [3,4] in 'a' but [5,4] in 'b'");
  EXPECT_EQ(attention_similarity(a, b).why_none, "n_heads is 2 in 'a' but 4 in 'b'");
}

}  // namespace
}  // namespace melisma
