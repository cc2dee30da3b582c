// Editing what files say of themselves: the tensors stay, byte for byte.
#include "models/weights/model_info.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "models/weights/model_file.h"
#include "models/weights/pth_file.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::refusal_of;

nlohmann::json json_of(const std::string& text) {
  return text.empty() ? nlohmann::json() : nlohmann::json::parse(text);
}

// Everything after the header.
std::string tensor_bytes(const fs::path& path) {
  const auto content = read_file(path);
  std::uint64_t length = 0;
  std::memcpy(&length, content.data(), sizeof(length));
  return content.substr(sizeof(length) + length);
}

class ModelInfo : public ::testing::Test {
 protected:
  void SetUp() override {
    ModelFile model;
    model.family = "rvc";
    model.config = R"({"a": "b"})";
    model.sample_rate_hz = 40000;
    model.epoch = 7;
    model.weights.add("x.weight", at::arange(6, at::kFloat).view({2, 3}) / 7);
    model.weights.add("y", at::tensor({1, 2, 3}, at::kChar));
    write_safetensors_model(native_, model);
    auto weights = std::make_shared<PickleDict>();
    weights->is_ordered = true;
    weights->set("x.weight", at::arange(6, at::kHalf).view({2, 3}).t());
    auto root = std::make_shared<PickleDict>();
    root->set("weight", std::shared_ptr<PickleDict>(weights));
    root->set("config", pickle_value_of_json("[1025, 32]"));
    root->set("author", PickleValue());
    root->set("speakers_id", std::int64_t{3});
    root->set("model_name", "old");
    write_pth(foreign_, PickleValue(root));
  }
  [[nodiscard]] static std::string refusal(const fs::path& path, const InfoChange& change) {
    return refusal_of(ErrorKind::usage, [&] { edit_model_info(path, path, {change}); });
  }
  testing::TemporaryFolder folder_;
  fs::path native_ = folder_ / "a.safetensors", foreign_ = folder_ / "a.pth";
};

TEST_F(ModelInfo, SafetensorsKeepEveryByteOfTheirTensors) {
  const auto before = read_model(native_);
  edit_model_info(native_, folder_ / "b.safetensors",
                  {{"author", "J\u00f6rg \"Q\""}, {"description", "line\nbreak"}, {"name", "B"}});
  EXPECT_EQ(tensor_bytes(folder_ / "b.safetensors"), tensor_bytes(native_));
  const auto after = read_model(folder_ / "b.safetensors");
  EXPECT_NO_THROW(verify_model(folder_ / "b.safetensors"));
  EXPECT_EQ(json_of(after.info),
            nlohmann::json({{"author", "J\u00f6rg \"Q\""}, {"description", "line\nbreak"}, {"name", "B"}}));
  EXPECT_EQ(json_of(before.info), nullptr);
  EXPECT_EQ(after.config, before.config);
  EXPECT_EQ(after.epoch, 7);
  edit_model_info(folder_ / "b.safetensors", folder_ / "b.safetensors", {{"author", std::nullopt}, {"name", "C"}});
  EXPECT_EQ(json_of(read_model(folder_ / "b.safetensors").info),
            nlohmann::json({{"description", "line\nbreak"}, {"name", "C"}}));
  edit_model_info(folder_ / "b.safetensors", folder_ / "b.safetensors",
                  {{"description", std::nullopt}, {"name", std::nullopt}});
  EXPECT_EQ(tensor_bytes(folder_ / "b.safetensors"), tensor_bytes(native_));
}

TEST_F(ModelInfo, WhatPeopleWroteIsKeptWhenTheModelIsWrittenAgain) {
  edit_model_info(native_, native_, {{"author", "Someone"}});
  write_safetensors_model(folder_ / "again.safetensors", read_model(native_));
  EXPECT_EQ(json_of(read_model(folder_ / "again.safetensors").info), nlohmann::json({{"author", "Someone"}}));
}

TEST_F(ModelInfo, PthKeepsItsTensorsAndTheKindOfItsEntries) {
  edit_model_info(foreign_, foreign_, {{"name", "new"}, {"author", "Someone"}, {"speakers_id", "4"}, {"note", "n"}});
  const auto root = read_pth(foreign_);
  EXPECT_EQ(*root.find("model_name")->text(), "new");
  EXPECT_EQ(*root.find("author")->text(), "Someone");
  EXPECT_EQ(root.find("speakers_id")->integer(), 4);
  EXPECT_EQ(*root.find("note")->text(), "n");
  EXPECT_EQ(root.dict()->items.size(), 6U);
  const auto& tensor = *root.find("weight")->find("x.weight")->tensor();
  EXPECT_EQ(tensor.scalar_type(), at::kHalf);
  EXPECT_TRUE(tensor.equal(at::arange(6, at::kHalf).view({2, 3}).t()));
}

TEST_F(ModelInfo, FilesOfTheRvcToolsKeepAllThatIsNotChanged) {
  const auto folder = testing::golden_folder("rvc/files");
  if (!fs::exists(folder)) GTEST_SKIP() << "no fixtures";
  for (const auto* name : {"voice_applio.pth", "voice_webui.pth", "voice_legacy_nonzip.pth"}) {
    edit_model_info(folder / name, folder_ / name, {{"author", "Another"}});
    const auto before = read_model(folder / name), after = read_model(folder_ / name);
    auto expected = json_of(before.contents);
    expected["author"] = "Another";
    EXPECT_EQ(json_of(after.contents), expected) << name;
    ASSERT_EQ(after.weights.size(), before.weights.size()) << name;
    for (const auto& [tensor, values] : before.weights) {
      EXPECT_EQ(after.weights.at(tensor).scalar_type(), values.scalar_type());
      EXPECT_TRUE(after.weights.at(tensor).equal(values)) << name << " " << tensor;
    }
  }
}

TEST_F(ModelInfo, WhatDescribesTheWeightsIsRefused) {
  const std::string stays = " says what the weights are, and they stay; name, author and description can be set";
  for (const auto* key : {"config", "family", "sha256_of_tensors", "sample_rate"}) {
    EXPECT_EQ(refusal(native_, {key, "x"}), "'" + std::string(key) + "'" + stays);
    EXPECT_EQ(refusal(native_, {key, std::nullopt}), "'" + std::string(key) + "'" + stays);
  }
  for (const auto* key : {"weight", "sr", "f0", "version", "config"}) {
    EXPECT_EQ(refusal(foreign_, {key, "x"}), "'" + std::string(key) + "'" + stays);
  }
  EXPECT_EQ(refusal(foreign_, {"speakers_id", "four"}), "'speakers_id' is the number 3 in the file; 'four' is none");
  EXPECT_EQ(refusal(foreign_, {"athor", std::nullopt}),
            "unknown entry 'athor'; did you mean 'author'? known: author, speakers_id, model_name");
  EXPECT_EQ(refusal(native_, {"author", std::nullopt}), "there is no entry 'author' to remove, nor any other");
}

TEST_F(ModelInfo, ARefusalOrABadFileLeavesTheFileAlone) {
  const auto before = read_file(native_);
  EXPECT_THROW(edit_model_info(native_, native_, {{"author", "x"}, {"family", "y"}}), Error);
  EXPECT_EQ(read_file(native_), before);
  write_pth(folder_ / "bare.pth", [] {
    auto root = std::make_shared<PickleDict>();
    root->set("x", at::ones({2}));
    return PickleValue(root);
  }());
  EXPECT_THAT(refusal_of(ErrorKind::checkpoint,
                         [&] {
                           edit_model_info(folder_ / "bare.pth", folder_ / "c.pth", {{"name", "x"}});
                         }),
              HasSubstr("holds bare weights, beside which nothing can be said"));
  write_file_atomically(folder_ / "text.txt", std::string("words"));
  EXPECT_THAT(refusal_of(ErrorKind::checkpoint,
                         [&] {
                           edit_model_info(folder_ / "text.txt", folder_ / "c.pth", {{"name", "x"}});
                         }),
              HasSubstr("is neither a .safetensors nor a .pth file"));
}

}  // namespace
}  // namespace melisma
