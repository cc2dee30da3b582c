// `melisma prepare --pitch` with networks and combinations: the real program, with a network of a few numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "data/audio/audio_writer.h"
#include "data/sets/dataset.h"
#include "tests/cli/program_run.h"
#include "tests/data/sets/pseudo_speech.h"
#include "tools/base/atomic_file.h"
#include "tools/base/hash.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::TemporaryFolder;

// A CREPE network of two channels a layer as .safetensors.
std::string small_crepe() {
  nlohmann::ordered_json header;
  std::string bytes;
  const auto add = [&](const std::string& name, const std::vector<std::int64_t>& shape, double offset, double scale) {
    std::int64_t count = 1;
    for (const auto size : shape) count *= size;
    const auto begin = bytes.size();
    for (const auto u : testing::formula_numbers(name, count)) {
      const auto value = static_cast<float>(offset + scale * u);
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, bytes.size()}}};
  };
  for (int layer = 1; layer <= 6; ++layer) {
    const auto name = "conv" + std::to_string(layer);
    add(name + ".weight", {2, layer == 1 ? 1 : 2, layer == 1 ? 512 : 64, 1}, 0, 0.2);
    add(name + ".bias", {2}, 0, 0.1);
    for (const auto* part : {".weight", ".running_var"}) add(name + "_BN" + part, {2}, 1, 0.2);
    for (const auto* part : {".bias", ".running_mean"}) add(name + "_BN" + part, {2}, 0, 0.1);
  }
  add("classifier.weight", {360, 8}, 0, 0.5);
  add("classifier.bias", {360}, 0, 0.1);
  const auto text = header.dump();
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text + bytes;
}

class PreparePitch : public ::testing::Test {
 protected:
  PreparePitch() {
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
      const auto path = folder_ / ("in/alice/" + std::to_string(seed) + ".wav");
      std::filesystem::create_directories(path.parent_path());
      write_audio(path, Waveform{testing::pseudo_speech(seed, 2.0, 16000), 1, 16000});
    }
    write_file_atomically(folder_ / "small.safetensors", small_crepe());
  }
  ProgramResult prepare(const std::string& pitch, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"prepare",   "in",   "--name",  "voice", "--force",
                                   "--content", "none", "--pitch", pitch};
    words.insert(words.end(), more.begin(), more.end());
    return testing::run_program(folder_.path(), words);
  }
  [[nodiscard]] std::string parameters() const {
    const auto made = Dataset::open(folder_ / "melisma-workspace/datasets/voice.h5");
    EXPECT_EQ(made.feature_sets().size(), 1U);
    return made.feature_sets().at(0).parameters;
  }
  TemporaryFolder folder_;
};

TEST_F(PreparePitch, ANetworksFeaturesAreFiledUnderItsWeights) {
  const auto result = prepare("crepe-tiny", {"--set", "pitch.crepe_tiny.weights=small.safetensors"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto settings = nlohmann::json::parse(parameters());
  EXPECT_EQ(settings["method"], "crepe-tiny");
  EXPECT_EQ(settings["crepe_tiny"]["weights_sha256"], sha256_of_file(folder_ / "small.safetensors"));
  EXPECT_FALSE(settings.contains("crepe"));
}

TEST_F(PreparePitch, MethodsAreCombinedAndThreadsDoNotChangeThem) {
  std::string first;
  for (const auto* threads : {"1", "2"}) {
    std::filesystem::remove_all(folder_ / "melisma-workspace/cache");
    const auto result = prepare("median(pyin,yin, crepe-tiny)",
                                {"--set", "pitch.crepe_tiny.weights=small.safetensors", "--threads", threads});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(nlohmann::json::parse(parameters())["method"], "median(pyin, yin, crepe-tiny)");
    const auto bytes = read_file(folder_ / "melisma-workspace/datasets/voice.h5");
    if (first.empty()) first = bytes;
    EXPECT_EQ(bytes, first);
  }
}

TEST_F(PreparePitch, MistakesAreSaidInOneLineWithTheirExitCode) {
  const auto member = prepare("median(rmpve, pyin)");
  EXPECT_EQ(member.exit_code, 2);
  EXPECT_THAT(member.err, HasSubstr("unknown pitch method 'rmpve'; did you mean 'rmvpe'?"));
  const auto combination = prepare("medium(yin, pyin)");
  EXPECT_EQ(combination.exit_code, 2);
  EXPECT_THAT(combination.err, HasSubstr("did you mean 'median'?"));
  const auto single = prepare("mean(yin)");
  EXPECT_EQ(single.exit_code, 2);
  EXPECT_THAT(single.err, HasSubstr("combines one method"));
  const auto absent = prepare("rmvpe", {"--set", "pitch.rmvpe.weights=nowhere.pt"});
  EXPECT_EQ(absent.exit_code, 3);
  EXPECT_THAT(absent.err, HasSubstr("there are no weights 'nowhere.pt'"));
  const auto other = prepare("rmvpe", {"--set", "pitch.rmvpe.weights=small.safetensors"});
  EXPECT_EQ(other.exit_code, 3);
  EXPECT_THAT(other.err, HasSubstr("it is not an RMVPE network; give rmvpe.pt"));
}

}  // namespace
}  // namespace melisma
