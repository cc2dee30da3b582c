#include "models/weights/safetensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "models/weights/model_file.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using melisma::testing::golden_files;
using melisma::testing::golden_folder;
using melisma::testing::json_numbers;
using melisma::testing::load_json;
using melisma::testing::near_all;
using melisma::testing::TemporaryFolder;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_content(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

TEST(GoldenSafetensors, AcceptsAndRefusesEveryFixtureAsTheFormatSays) {
  const auto found = golden_files("quant/safetensors", "", ".safetensors");
  if (!found.has_topic) GTEST_SKIP();
  const auto expected = load_json(golden_folder("quant/safetensors") / "expected.json")["files"];
  for (const auto& path : found.files) {
    const auto name = path.stem().string();
    if (!expected.contains(name)) continue;
    SCOPED_TRACE(name + ": " + expected[name]["why"].get<std::string>());
    const auto must = expected[name]["must"].get<std::string>();
    try {
      const auto file = read_safetensors(path);
      EXPECT_NE(must, "reject");
      const auto& reference = expected[name]["reference_reader"];
      EXPECT_EQ(file.tensors.size(), reference["names"].size());
      for (const auto& [tensor, shape] : reference["shapes"].items()) {
        EXPECT_EQ(file.tensors.at(tensor).sizes().vec(), shape.get<std::vector<std::int64_t>>()) << tensor;
      }
      if (reference["metadata"].is_object()) {
        EXPECT_EQ(file.metadata, reference["metadata"].get<FileMetadata>());
      }
    } catch (const Error& error) {
      EXPECT_NE(must, "accept") << error.what();
      EXPECT_EQ(error.kind(), ErrorKind::checkpoint) << error.what();
    }
  }
}

TEST(GoldenSafetensors, ReadsTheValuesOfEveryType) {
  const auto path = golden_folder("quant/safetensors") / "ok_all_dtypes.safetensors";
  if (!fs::exists(path)) GTEST_SKIP();
  const auto expected = load_json(path.parent_path() / "expected.json")["dtype_values"];
  const auto file = read_safetensors(path);
  for (const auto& [type, values] : expected.items()) {
    const auto tensor = file.tensors.at("t_" + type).to(at::kDouble).contiguous();
    const std::vector<double> got(tensor.const_data_ptr<double>(), tensor.const_data_ptr<double>() + tensor.numel());
    EXPECT_TRUE(near_all(json_numbers(values), got, 0.0)) << type;
  }
}

TEST(GoldenSafetensors, WritesByteForByteLikeTheReferenceWriter) {
  const auto path = golden_folder("quant/safetensors") / "writer_order.safetensors";
  if (!fs::exists(path)) GTEST_SKIP();
  const auto file = read_safetensors(path);
  const TemporaryFolder folder;
  write_safetensors(folder / "ours.safetensors", file.tensors, file.metadata);
  EXPECT_EQ(content_of(folder / "ours.safetensors"), content_of(path));
}

TEST(Safetensors, TensorsAreViewsOfTheFileAndNeverChangeIt) {
  const TemporaryFolder folder;
  StateDict weights;
  weights.add("w", at::arange(12, at::kFloat).view({3, 4}));
  weights.add("empty", at::empty({0, 4}));
  weights.add("scalar", at::tensor(2.5f));
  weights.add("strided", at::arange(6, at::kFloat).view({2, 3}).t());
  write_safetensors(folder / "w.safetensors", weights, {});
  const auto before = content_of(folder / "w.safetensors");
  auto file = read_safetensors(folder / "w.safetensors");
  for (const auto& [name, tensor] : weights) EXPECT_TRUE(at::equal(tensor, file.tensors.at(name))) << name;
  at::Tensor(file.tensors.at("w")).fill_(7);
  EXPECT_EQ(file.tensors.at("w").sum().item<float>(), 84);
  EXPECT_EQ(content_of(folder / "w.safetensors"), before);
}

ModelFile a_model() {
  ModelFile model;
  model.weights.add("w", at::arange(6, at::kFloat));
  model.family = "rvc";
  model.config = R"({"version":"v2"})";
  model.sample_rate_hz = 40000;
  model.epoch = 12;
  model.provenance = R"({"run":"alice"})";
  return model;
}

TEST(ModelFile, ComesBackAsItWasWritten) {
  const TemporaryFolder folder;
  write_safetensors_model(folder / "m.safetensors", a_model());
  const auto model = read_model(folder / "m.safetensors");
  EXPECT_TRUE(at::equal(model.weights.at("w"), at::arange(6, at::kFloat)));
  EXPECT_EQ(model.family, "rvc");
  EXPECT_EQ(model.config, R"({"version":"v2"})");
  EXPECT_EQ(model.sample_rate_hz, 40000);
  EXPECT_EQ(model.epoch, 12);
  EXPECT_EQ(model.step, -1);
  EXPECT_EQ(model.provenance, R"({"run":"alice"})");
  EXPECT_EQ(model.layout, "melisma");
  EXPECT_NO_THROW(verify_model(folder / "m.safetensors"));
}

TEST(ModelFile, VerifyFindsASingleChangedBit) {
  const TemporaryFolder folder;
  write_safetensors_model(folder / "m.safetensors", a_model());
  auto content = content_of(folder / "m.safetensors");
  content.back() = static_cast<char>(content.back() ^ 1);
  write_content(folder / "m.safetensors", content);
  EXPECT_THROW(verify_model(folder / "m.safetensors"), Error);
}

TEST(ModelFile, ReadsBothSpellingsOfWeightNorm) {
  const TemporaryFolder folder;
  StateDict weights;
  weights.add("dec.ups.0.parametrizations.weight.original0", at::ones({4, 1, 1}));
  weights.add("dec.ups.0.parametrizations.weight.original1", at::ones({4, 2, 3}));
  write_safetensors(folder / "m.safetensors", weights, {});
  const auto model = read_model(folder / "m.safetensors");
  EXPECT_EQ(model.weights.at("dec.ups.0.weight_g").numel(), 4);
  EXPECT_EQ(model.weights.at("dec.ups.0.weight_v").numel(), 24);
}

TEST(ModelFile, NamesWhatIsWrongWithAPathOrAVersion) {
  const TemporaryFolder folder;
  const auto message = [](const fs::path& path) {
    return melisma::testing::refusal_of(ErrorKind::checkpoint, [&] { (void)read_model(path); });
  };
  EXPECT_EQ(message(folder / "none"), "there is no file '" + (folder / "none").string() + "'");
  EXPECT_EQ(message(folder.path()), "'" + folder.path().string() + "' is a folder; a weights file is expected");
  write_safetensors(folder / "new.safetensors", StateDict(), {{"format_version", "9"}});
  EXPECT_EQ(message(folder / "new.safetensors"),
            "its format version is 9, this program reads up to 1; use a newer melisma");
}

}  // namespace
}  // namespace melisma
