#include "models/pitch/rmvpe.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "models/pitch/front_end.h"
#include "models/pitch/salience.h"
#include "tests/models/pitch/networks.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::fixture_signal;
using testing::formula_network;
using testing::golden_files;
using testing::GoldenFile;
using testing::near_all;
using testing::near_tensor;
using testing::tensor_of;

constexpr RmvpeShape kTinyRmvpe{.blocks = 1, .bottom_layers = 1, .first_channels = 2};

std::vector<double> f0_of(const at::Tensor& salience, double threshold) {
  const auto rows = salience.contiguous();
  return decode_rmvpe({rows.const_data_ptr<float>(), static_cast<std::size_t>(rows.numel())}, threshold);
}

TEST(GoldenRmvpe, HearsTheMelOfTheRvcTools) {
  const auto found = golden_files("rvc", "f0_rmvpe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& path : found.files) {
    const auto golden = GoldenFile::load(path);
    for (const std::string signal : {"glide", "noise", "voice"}) {
      const auto wave = fixture_signal(signal);
      const auto total = network_frames(std::ssize(wave));
      EXPECT_EQ(total, golden.at(signal + ".mel_frames").values[0]);
      const auto mel = rmvpe_mel(wave, 0, total).index_select(0, tensor_of(golden.at(signal + ".mel_idx")));
      EXPECT_TRUE(near_tensor(golden.at(signal + ".mel"), mel.t(), 1e-3)) << signal;
    }
  }
}

void compare_network(const GoldenFile& golden, const std::string& name, const RmvpeShape& shape, double tolerance) {
  const auto network = formula_network<Rmvpe>(shape, golden.metadata.at("salt") + name + "/");
  const auto mel = tensor_of(golden.at("net.mel_in"))[0].t();  // [62, 128]
  const auto n_frames = mel.size(0), missing = -n_frames & (shape.frame_step() - 1);
  const auto padded = at::cat({mel, mel.narrow(0, n_frames - 1 - missing, missing).flip(0)}, 0);
  const auto salience = network(padded.contiguous()).narrow(0, 0, n_frames);
  const auto sixth = salience.index_select(0, at::arange(0, n_frames, 6)).unsqueeze(0);
  EXPECT_TRUE(near_tensor(golden.at("net." + name + ".hidden"), sixth, tolerance)) << name;
  // One frame whose two strongest bins are within rounding of each other would be another pitch: none is.
  EXPECT_TRUE(near_all(golden.at("net." + name + ".f0").values, f0_of(salience, 0.03), 0, 1e-4)) << name;
}

TEST(GoldenRmvpe, NetworksEqualTheRvcTools) {
  const auto found = golden_files("rvc", "f0_rmvpe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& path : found.files) {
    const auto golden = GoldenFile::load(path);
    compare_network(golden, "tiny", kTinyRmvpe, 1e-5);
    compare_network(golden, "full", {}, 3e-4);
  }
}

TEST(GoldenRmvpe, DecodesAsTheRvcTools) {
  const auto found = golden_files("rvc", "f0_rmvpe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& path : found.files) {
    const auto golden = GoldenFile::load(path);
    const auto salience = golden.at("decode.salience").floats();
    EXPECT_TRUE(near_all(golden.at("decode.f0_0.03").values, decode_rmvpe(salience, 0.03), 1e-9));
    std::vector<double> cents;
    for (const auto hz : decode_rmvpe(salience, 0.05)) cents.push_back(hz > 0 ? cents_of_hz(hz) : 0);
    EXPECT_TRUE(near_all(golden.at("decode.cents_0.05").values, cents, 1e-9));
  }
}

// "name 512x256x3x3" a line.
std::vector<NamedWeights::Taken> published_names(const std::filesystem::path& path) {
  std::vector<NamedWeights::Taken> names;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    auto& entry = names.emplace_back();
    std::string sizes;
    words >> entry.name >> sizes;
    std::istringstream numbers(sizes);
    for (std::string number; std::getline(numbers, number, 'x');) entry.shape.push_back(std::stoll(number));
  }
  return names;
}

TEST(GoldenRmvpe, TakesTheNamesOfThePublishedFileInItsOrder) {
  const auto found = golden_files("rvc", "rmvpe_full", ".keys.txt");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  const auto names = published_names(found.files.front());
  const StateDict none;
  NamedWeights asked(none);
  const Rmvpe unused({}, asked);
  ASSERT_EQ(asked.taken().size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(asked.taken()[i].name, names[i].name);
    EXPECT_EQ(asked.taken()[i].shape, names[i].shape) << names[i].name;
  }
}

TEST(Rmvpe, ReadsItsShapeFromTheTensors) {
  const RmvpeShape shape{
      .levels = 3, .blocks = 2, .bottom_layers = 1, .first_channels = 3, .recurrent_layers = 2, .hidden = 8};
  EXPECT_EQ(rmvpe_shape_of(testing::formula_weights_for<Rmvpe>(shape, "shape/")), shape);
  EXPECT_EQ(RmvpeShape{}.context_frames(), 1600);
}

TEST(Rmvpe, PiecesEqualTheWhole) {
  const auto network = formula_network<Rmvpe>(kTinyRmvpe, "rmvpe/tiny/");
  auto wave = fixture_signal("voice");
  for (const auto* more : {"glide", "voice"}) {
    for (const auto sample : fixture_signal(more)) wave.push_back(sample);
  }
  const auto heard = [&](const RmvpeChunks& chunks, std::size_t n_pieces) {
    std::vector<at::Tensor> pieces;
    network.listen(wave, chunks, [&](const at::Tensor& piece) { pieces.push_back(piece.clone()); });
    EXPECT_EQ(pieces.size(), n_pieces);
    return at::cat(pieces, 0);
  };
  const auto whole = heard({}, 1);
  ASSERT_EQ(whole.size(0), 861);
  EXPECT_EQ(kTinyRmvpe.context_frames(), 256);
  EXPECT_LT((heard({.frames = 32}, 27) - whole).abs().max().item<float>(), 1e-5);
  // Half the context is not enough: the comparison above can fail.
  EXPECT_GT((heard({.frames = 32, .context = 128}, 27) - whole).abs().max().item<float>(), 1e-4);
}

TEST(Rmvpe, HearsTheShortestRecordings) {
  const auto network = formula_network<Rmvpe>(kTinyRmvpe, "rmvpe/tiny/");
  for (const std::size_t n : {1U, 160U, 512U, 513U, 2500U, 5000U}) {
    const std::vector<float> wave(n, 0.1F);
    std::int64_t frames = 0;
    network.listen(wave, {}, [&](const at::Tensor& piece) {
      EXPECT_TRUE(at::isfinite(piece).all().item<bool>()) << n;
      frames += piece.size(0);
    });
    EXPECT_EQ(frames, static_cast<std::int64_t>(n) / 160 + 1);
  }
}

TEST(Rmvpe, RefusesOtherNetworks) {
  StateDict other;
  other.add("conv1.weight", at::zeros({4, 1, 512, 1}));
  EXPECT_THROW((void)rmvpe_shape_of(other), Error);
}

}  // namespace
}  // namespace melisma
