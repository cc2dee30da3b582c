// Voices as other forks and programs keep them: ddPn08's list of 19, w-okada's safetensors, newer names of weight norm.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "models/rvc/voice_file.h"
#include "models/weights/pth_file.h"
#include "models/weights/safetensors.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::golden_folder;
using ::testing::HasSubstr;
using testing::refusal_of;
using testing::TemporaryFolder;

// voice_webui.pth, rewritten by a test as another program has it.
class ForeignLayout : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto golden = golden_folder("rvc/files") / "voice_webui.pth";
    if (!fs::exists(golden)) GTEST_SKIP();
    root_ = read_pth(golden);
    plain_ = read_rvc_voice(golden);
  }
  PickleValue& at(std::string_view key) { return *const_cast<PickleValue*>(root_.find(key)); }
  std::vector<PickleValue>& list() { return at("config").sequence()->items; }
  ModelFile read() {
    write_pth(folder_ / "voice.pth", root_);
    return read_rvc_voice(folder_ / "voice.pth");
  }
  std::string refusal() {
    return refusal_of(ErrorKind::checkpoint, [&] { (void)read(); });
  }
  void make_ddpn08() {
    list().insert(list().begin() + 17, std::int64_t{768});
    root_.dict()->set("embedder_name", "contentvec768");
    root_.dict()->set("embedder_output_layer", std::int64_t{12});
    root_.dict()->set("speaker_info", pickle_value_of_json(R"({"0": "alice", "1": "bob"})"));
  }
  void expect_same_voice(const ModelFile& file) {
    EXPECT_EQ(rvc_voice_config(file).network, rvc_voice_config(plain_).network);
    ASSERT_EQ(file.weights.size(), plain_.weights.size());
    for (const auto& [name, tensor] : plain_.weights) EXPECT_TRUE(at::equal(file.weights.at(name), tensor)) << name;
  }

  TemporaryFolder folder_;
  PickleValue root_;
  ModelFile plain_;
};

TEST_F(ForeignLayout, DdPn08NamesChannelsLayerAndSpeakers) {
  make_ddpn08();
  const auto file = read();
  expect_same_voice(file);
  EXPECT_EQ(file.layout, "ddpn08");
  EXPECT_THAT(rvc_voice_config(file).speaker_names, ElementsAre("alice", "bob"));
  const auto contents = nlohmann::json::parse(file.contents);
  EXPECT_EQ(contents["embedder_name"], "contentvec768");
  EXPECT_EQ(contents["embedder_output_layer"], 12);
}

TEST_F(ForeignLayout, DdPn08FilesThatContradictThemselvesAreRefused) {
  make_ddpn08();
  at("speaker_info") = pickle_value_of_json(R"({"7": "carol"})");
  EXPECT_THAT(refusal(), HasSubstr("its speaker_info names speaker '7', and it has 2 rows of speakers"));
  at("speaker_info") = pickle_value_of_json(R"({"0": "carol"})");
  list()[17] = std::int64_t{256};
  EXPECT_THAT(refusal(), HasSubstr("'enc_p.emb_phone.weight' is [4,768] in the file but [4,256] in the model"));
  list()[17] = "wide";
  EXPECT_THAT(refusal(), HasSubstr("item 17 of its config list (content channels) is \"wide\""));
  list().push_back(std::int64_t{1});
  EXPECT_THAT(refusal(), HasSubstr("its 'config' has 20 items; the 18 of an RVC voice, or the 19 of ddPn08's"));
}

TEST_F(ForeignLayout, WOkadaKeepsTheListAsMetadata) {
  for (const bool is_ddpn08 : {false, true}) {
    if (is_ddpn08) make_ddpn08();
    FileMetadata metadata{{"format", "pt"}};
    const auto contents = nlohmann::ordered_json::parse(read().contents);
    for (const auto& [key, value] : contents.items()) {
      metadata[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
    metadata["f0"] = "True";
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, tensor] : plain_.weights) {
      tensors.push_back({name, tensor.sizes().vec(), tensor.scalar_type(), [tensor = tensor] { return tensor; }, {}});
    }
    write_safetensors(folder_ / "voice.safetensors", tensors, metadata, /*with_digest=*/false);
    const auto file = read_rvc_voice(folder_ / "voice.safetensors");
    expect_same_voice(file);
    EXPECT_EQ(file.layout, "w-okada");
    const auto kept = nlohmann::json::parse(file.contents);
    EXPECT_EQ(kept["sr"], "40k");
    EXPECT_EQ(kept["f0"], true);
    EXPECT_EQ(kept["config"], nlohmann::json::parse(contents["config"].dump()));
    EXPECT_EQ(rvc_voice_config(file).speaker_names.size(), is_ddpn08 ? 2U : 0U);
  }
}

TEST_F(ForeignLayout, NewerNamesOfWeightNormAreTheOlderOnes) {
  std::size_t n_renamed = 0;
  for (auto& [key, value] : at("weight").dict()->items) {
    const auto name = *key.text();
    for (const auto& [old_ending, new_ending] : {std::pair{".weight_g", "0"}, {".weight_v", "1"}}) {
      if (!name.ends_with(old_ending)) continue;
      key = name.substr(0, name.size() - 9) + ".parametrizations.weight.original" + new_ending;
      ++n_renamed;
    }
  }
  EXPECT_GT(n_renamed, 50U);
  expect_same_voice(read());
}

}  // namespace
}  // namespace melisma
