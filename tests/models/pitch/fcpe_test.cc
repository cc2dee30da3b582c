#include "models/pitch/fcpe.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "models/pitch/salience.h"
#include "tests/models/pitch/networks.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::fixture_signal;
using testing::formula_network;
using testing::formula_weights_for;
using testing::golden_files;
using testing::GoldenFile;
using testing::near_tensor;
using testing::tensor_of;

constexpr FcpeShape kSmallFcpe{.mel = {.n_mels = 20}, .hidden = 8, .inner = 6, .layers = 2, .kernel = 5, .bins = 24};

std::string message_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::checkpoint);
    return error.message();
  }
  return "accepted";
}

TEST(GoldenFcpe, HearsTheMelOfThePackage) {
  const auto found = golden_files("rvc", "f0_fcpe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& path : found.files) {
    const auto golden = GoldenFile::load(path);
    for (const std::string signal : {"glide", "noise", "voice"}) {
      const auto wave = fixture_signal(signal);
      const auto mel = fcpe_mel(wave, 0, network_frames(std::ssize(wave)));
      const auto asked = mel.index_select(0, tensor_of(golden.at(signal + ".idx")));
      EXPECT_TRUE(near_tensor(golden.at(signal + ".mel"), asked, 1e-3)) << signal;
    }
  }
}

TEST(GoldenFcpe, TakesTheNamesOfThePublishedFile) {
  const auto found = golden_files("rvc", "f0_fcpe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& path : found.files) {
    const auto golden = GoldenFile::load(path);
    ModelFile file;
    for (const auto& key : golden.json("keys")) {
      file.weights.add(key[0], at::zeros(key[1].get<std::vector<std::int64_t>>()));
    }
    file.contents = R"({"config_dict":{"mel":{"sr":16000,"hop_size":160,"n_fft":1024,"win_size":1024,"fmax":8000}}})";
    NamedWeights weights(file.weights);
    const Fcpe network(fcpe_shape_of(file), weights);
    weights.check();
    EXPECT_EQ(network.shape().layers, 6);
    EXPECT_EQ(network.shape().context_frames(), 92);
  }
}

TEST(Fcpe, PiecesEqualTheWhole) {
  const auto network = formula_network<Fcpe>(kSmallFcpe, "fcpe/small/");
  const auto wave = fixture_signal("voice");
  const auto heard = [&](std::int64_t chunk) {
    std::vector<at::Tensor> pieces;
    network.listen(
        wave, [&](const at::Tensor& piece) { pieces.push_back(piece.clone()); }, chunk);
    EXPECT_EQ(pieces.size(), static_cast<std::size_t>((321 + chunk - 1) / chunk));
    return at::cat(pieces, 0);
  };
  const auto whole = heard(1000);
  ASSERT_EQ(whole.size(0), 321);
  for (const std::int64_t chunk : {1, 40, 320}) {
    EXPECT_LT((heard(chunk) - whole).abs().max().item<float>(), 1e-5) << chunk;
  }
}

TEST(Fcpe, HearsTheShortestRecordings) {
  const auto network = formula_network<Fcpe>(kSmallFcpe, "fcpe/small/");
  for (const std::size_t n : {1U, 160U, 432U, 433U, 2500U}) {
    std::int64_t frames = 0;
    network.listen(std::vector<float>(n, 0.1F), [&](const at::Tensor& piece) {
      EXPECT_TRUE(at::isfinite(piece).all().item<bool>()) << n;
      frames += piece.size(0);
    });
    EXPECT_EQ(frames, static_cast<std::int64_t>(n) / 160 + 1);
  }
}

TEST(Fcpe, RefusesWhatItDoesNotUnderstand) {
  using ::testing::Test;
  ModelFile file{.weights = formula_weights_for<Fcpe>(kSmallFcpe, "fcpe/small/")};
  EXPECT_EQ(fcpe_shape_of(file).inner, 6);
  file.contents = R"({"config_dict":{"mel":{"sr":44100,"hop_size":512,"win_size":2048,"n_fft":2048}}})";
  EXPECT_NE(message_of([&] { (void)fcpe_shape_of(file); }).find("44100 Hz"), std::string::npos);
  file.contents.clear();
  file.weights.add("net.encoder_layers.0.attn.to_q.weight", at::zeros({8, 8}));
  EXPECT_NE(message_of([&] { (void)fcpe_shape_of(file); }).find("attention"), std::string::npos);
  EXPECT_NE(message_of([&] { (void)fcpe_shape_of({}); }).find("not an FCPE network"), std::string::npos);
}

TEST(FcpeDecoder, AveragesAroundTheStrongestBinOrOverAll) {
  const std::vector<float> cents{1000, 1100, 1200, 1300, 1400, 1500, 1600, 1700, 1800, 1900, 2000, 2100};
  std::vector<float> frame(12, 0.0F);
  frame[3] = 0.5F;
  frame[4] = 0.25F;
  frame[11] = 0.25F;
  EXPECT_NEAR(decode_fcpe(frame, cents, FcpeDecoder::local_argmax, 0.1)[0], hz_of_cents(1000 * 4 / 3.0), 1e-9);
  EXPECT_NEAR(decode_fcpe(frame, cents, FcpeDecoder::argmax, 0.1)[0], hz_of_cents(1525), 1e-9);
  EXPECT_EQ(decode_fcpe(frame, cents, FcpeDecoder::argmax, 0.5)[0], 0);
}

TEST(FcpeDecoder, RepeatsTheBinsAtTheEdges) {
  const std::vector<float> cents{1000, 1100, 1200, 1300, 1400, 1500};
  const std::vector<float> frame{0.6F, 0.3F, 0, 0, 0, 0};
  // Four places below the first bin repeat it: (5 * 0.6 * 1000 + 0.3 * 1100) / (5 * 0.6 + 0.3).
  EXPECT_NEAR(decode_fcpe(frame, cents, FcpeDecoder::local_argmax, 0.1)[0], hz_of_cents(3330 / 3.3), 1e-4);
}

}  // namespace
}  // namespace melisma
