#include "models/weights/pth_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "models/weights/model_file.h"
#include "models/weights/pickle_reader.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using melisma::testing::golden_files;
using melisma::testing::golden_folder;
using melisma::testing::load_json;
using melisma::testing::refusal_of;
using melisma::testing::TemporaryFolder;
using nlohmann::json;

std::string refusal(const fs::path& path) {
  return refusal_of(ErrorKind::checkpoint, [&] { (void)read_model(path); });
}

std::string refusal_of_pickle(const std::string& pickle) {
  return refusal_of(ErrorKind::checkpoint, [&] {
    (void)read_pickle(std::as_bytes(std::span(pickle)), [](const StorageRequest&) { return std::nullopt; });
  });
}

double absolute_sum(const StateDict& weights) {
  double sum = 0;
  for (const auto& [name, tensor] : weights) sum += tensor.to(at::kDouble).abs().sum().item<double>();
  return sum;
}

TEST(GoldenPth, ReadsVoiceModelsOfBothToolsAndBothContainers) {
  const auto found = golden_files("rvc/files", "voice_", ".pth");
  if (!found.has_topic) GTEST_SKIP();
  const auto expected = load_json(golden_folder("rvc/files") / "expected.json");
  for (const auto& path : found.files) {
    SCOPED_TRACE(path.filename());
    auto facts = expected[path.filename().string()];
    const auto model = read_model(path);
    EXPECT_EQ(model.weights.size(), 223u);
    EXPECT_NEAR(absolute_sum(model.weights), facts["_abs_sum_of_weights"].get<double>(), 1e-6);
    for (const auto* key : {"weight", "_types", "_abs_sum_of_weights"}) facts.erase(key);
    EXPECT_EQ(json::parse(model.contents), facts);
    EXPECT_EQ(model.layout, facts.contains("info") ? "webui" : "applio");
  }
}

TEST(GoldenPth, ReadsTrainingCheckpointsWithTheirOptimizerState) {
  const auto topic = golden_folder("rvc/files");
  if (!fs::exists(topic)) GTEST_SKIP();
  const auto expected = load_json(topic / "expected.json");
  for (const auto& [name, facts] : expected.items()) {
    if (!facts.contains("n_model")) continue;
    SCOPED_TRACE(name);
    const auto root = read_pth(topic / name);
    const auto model = read_model(topic / name);
    EXPECT_EQ(model.epoch, facts["iteration"].get<std::int64_t>());
    EXPECT_EQ(model.weights.size(), facts["n_model"].get<std::size_t>());
    EXPECT_NEAR(absolute_sum(model.weights), facts["_abs_sum_of_weights"].get<double>(), 1e-6);
    EXPECT_EQ(model.layout, facts["keys"].size() == 5 ? "applio-checkpoint" : "webui-checkpoint");
    EXPECT_DOUBLE_EQ(*root.find("learning_rate")->number(), facts["learning_rate"].get<double>());
    std::vector<std::string> keys, first;
    for (const auto& [key, value] : root.dict()->items) keys.push_back(*key.text());
    EXPECT_EQ(keys, facts["keys"].get<std::vector<std::string>>());
    for (std::size_t i = 0; i < 6; ++i) first.push_back(model.weights.items()[i].first);
    EXPECT_EQ(first, facts["first_keys"].get<std::vector<std::string>>());
    const auto& optimizer = *root.find("optimizer");
    const auto& state = *optimizer.find("state")->dict();
    EXPECT_EQ(state.items.size(), facts["optimizer_state_entries"].get<std::size_t>());
    auto groups = json::parse(to_json_text(*optimizer.find("param_groups")));
    for (auto& group : groups) {
      group["n_params"] = group["params"].size();
      group.erase("params");
    }
    EXPECT_EQ(groups, facts["param_groups"]);
    if (state.items.empty()) continue;
    double squares = 0;
    for (const auto& [index, entry] : state.items) {
      squares += entry.find("exp_avg_sq")->tensor()->to(at::kDouble).sum().item<double>();
    }
    EXPECT_NEAR(squares, facts["_exp_avg_sq_sum"].get<double>(), 1e-12);
  }
}

TEST(GoldenPth, RefusesHostileFilesWithTheReasonAndRunsNothing) {
  const auto topic = golden_folder("rvc/files");
  if (!fs::exists(topic)) GTEST_SKIP();
  const auto* refused =
      "its pickle refers to 'posix.system', which weights do not need: the file is unsafe or no weights file; nothing "
      "was run";
  EXPECT_EQ(refusal(topic / "evil_os_system.pth"), refused);
  EXPECT_EQ(refusal(topic / "evil_legacy_pickle.pth"), refused);
  EXPECT_EQ(refusal(topic / "evil_oversized_storage.pth"), "storage '0' claims 1073741824 bytes, but the file has 16");
  EXPECT_EQ(refusal(topic / "evil_out_of_bounds_view.pth"),
            "a tensor [65535] at element 0 reaches outside its storage of 4 elements");
  EXPECT_FALSE(fs::exists("melisma_canary.txt"));
}

TEST(GoldenPth, SaysThatATruncatedFileIsTruncated) {
  const auto path = golden_folder("rvc/files") / "bad_truncated.pth";
  if (!fs::exists(path)) GTEST_SKIP();
  EXPECT_EQ(refusal(path), "it starts like a zip archive but has no table of contents: the file is truncated");
}

TEST(Pth, EveryTruncationOfAFileIsRefused) {
  const auto path = golden_folder("rvc/files") / "evil_out_of_bounds_view.pth";
  if (!fs::exists(path)) GTEST_SKIP();
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  const TemporaryFolder folder;
  for (std::size_t size = 0; size < content.str().size(); size += 17) {
    std::ofstream(folder / "cut.pth", std::ios::binary) << content.str().substr(0, size);
    EXPECT_NE(refusal(folder / "cut.pth"), "no error") << size;
  }
}

PickleValue dict_of(std::vector<std::pair<std::string, PickleValue>> items, bool is_ordered = false) {
  auto dict = std::make_shared<PickleDict>();
  dict->is_ordered = is_ordered;
  for (auto& [key, value] : items) dict->set(std::move(key), std::move(value));
  return dict;
}

TEST(Pth, WhatIsWrittenReadsBack) {
  const TemporaryFolder folder;
  std::vector<std::pair<std::string, PickleValue>> tensors;
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble, at::kLong, at::kInt, at::kShort, at::kChar,
                          at::kByte, at::kBool}) {
    tensors.emplace_back(c10::toString(type), at::arange(6, at::kFloat).to(type).view({2, 3}));
  }
  tensors.emplace_back("transposed", at::arange(6, at::kFloat).view({2, 3}).t());
  tensors.emplace_back("scalar", at::tensor(1.5f));
  tensors.emplace_back("empty", at::empty({0, 3}));
  tensors.emplace_back("later", TensorToWrite{"", {2}, at::kHalf, [] { return at::ones({2}, at::kHalf); }});
  auto list = std::make_shared<PickleSequence>();
  list->items = {std::int64_t{-1}, std::int64_t{300}, std::int64_t{1} << 40, 2.5, true, PickleValue(), "grüß"};
  write_pth(folder / "x.pth",
            dict_of({{"weight", dict_of(tensors)}, {"config", list}, {"one", std::int64_t{1}}}, true));
  const auto root = read_pth(folder / "x.pth");
  for (const auto& [name, value] : tensors) {
    const auto& got = *root.find("weight")->find(name)->tensor();
    const auto expected = value.tensor() != nullptr ? *value.tensor() : at::ones({2}, at::kHalf);
    EXPECT_EQ(got.scalar_type(), expected.scalar_type()) << name;
    EXPECT_TRUE(at::equal(got, expected)) << name;
  }
  EXPECT_EQ(to_json_text(*root.find("config")), R"([-1,300,1099511627776,2.5,true,null,"grüß"])");
  EXPECT_TRUE(root.dict()->is_ordered);
}

TEST(Pth, BytesDoNotDependOnTheFileName) {
  const TemporaryFolder folder;
  const auto value = dict_of({{"weight", dict_of({{"a", at::ones({3})}})}});
  write_pth(folder / "a.pth", value);
  write_pth(folder / "other.pth", value);
  const auto slurp = [&](const char* name) {
    std::ifstream file(folder / name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  };
  EXPECT_EQ(slurp("a.pth"), slurp("other.pth"));
}

TEST(Pth, AFullDiskOrAMissingFolderIsADeviceError) {
  const TemporaryFolder folder;
  try {
    write_pth(folder / "none/x.pth", dict_of({{"a", at::ones({3})}}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_EQ(error.message(),
              "cannot write '" + (folder / "none/x.pth").string() + "': the folder does not exist; create it first");
  }
}

TEST(Pickle, CyclesDepthAndNonsenseAreRefusedWithoutHarm) {
  using std::string_literals::operator""s;
  EXPECT_EQ(refusal_of_pickle("\x80\x02]q\0h\0a."s), "its pickle contains itself");
  EXPECT_EQ(refusal_of_pickle("\x80\x02" + std::string(200000, ']') + std::string(199999, 'a') + "."),
            "its pickle is nested deeper than 64");
  // The same, but thrown away before the end.
  EXPECT_EQ(refusal_of_pickle("\x80\x02" + std::string(200000, ']') + std::string(199999, 'a') + "0N."), "no error");
  EXPECT_EQ(refusal_of_pickle("\x80\x02X\xff\xff\xff\xff"), "its pickle is cut off at byte 7");
  EXPECT_EQ(refusal_of_pickle("\x80\x02"), "its pickle is cut off at byte 2");
  EXPECT_EQ(refusal_of_pickle("\x80\x02u."), "its pickle makes no sense at byte 2");
  EXPECT_EQ(refusal_of_pickle("\x80\x02NN."), "its pickle does not end with one value");
  EXPECT_EQ(refusal_of_pickle("\x80\x02(i__main__\nX\n."), "its pickle has the unknown instruction 0x69 at byte 3");
  EXPECT_EQ(refusal_of_pickle("\x80\x04\x8c\x08"
                              "builtins\x8c\x04"
                              "eval\x93."),
            "its pickle refers to 'builtins.eval', which weights do not need: the file is unsafe or no weights file; "
            "nothing was run");
}

TEST(Pickle, ObjectsOfTrainingProgramsAreDroppedAndTheRestIsRead) {
  using namespace std::string_literals;
  const auto pickle =
      "\x80\x02}(X\x05\0\0\0wordscfairseq.data.dictionary\nDictionary\n)\x81}"
      "X\x01\0\0\0nK\x07sbX\x04\0\0\0argscargparse\n"
      "Namespace\n)\x81}bX\x05\0\0\0epochK\x03u."s;
  const auto read =
      read_pickle(std::as_bytes(std::span(pickle)), [](const StorageRequest&) { return std::nullopt; }).value;
  EXPECT_TRUE(read.find("words")->is_none());
  EXPECT_TRUE(read.find("args")->is_none());
  EXPECT_EQ(read.find("epoch")->integer(), 3);
}

TEST(Pickle, IntegersOfEveryLengthKeepTheirSign) {
  const auto integer = [](const std::string& body) {
    const auto pickle = "\x80\x02" + body + ".";
    return *read_pickle(std::as_bytes(std::span(pickle)), [](const StorageRequest&) {
              return std::nullopt;
            }).value.integer();
  };
  using std::string_literals::operator""s;
  EXPECT_EQ(integer("\x8a\x01\xff"), -1);
  EXPECT_EQ(integer("\x8a\x02\x00\x80"s), -32768);
  EXPECT_EQ(integer("\x8a\x00"s), 0);
  EXPECT_EQ(integer("\x8a\x05\x00\x00\x00\x00\x01"s), std::int64_t{1} << 32);
  EXPECT_EQ(integer("J\xfe\xff\xff\xff"), -2);
}

TEST(Pickle, SharedContentsDoNotMultiplyInMessagesOrSettings) {
  // Thirty lists, each holding the one before ten times: 10^30 values if written out.
  std::string pickle = "\x80\x02]";
  for (int i = 0; i < 30; ++i)
    pickle +=
        "q\x01"
        "0](" +
        [] {
          std::string tens;
          for (int k = 0; k < 10; ++k) tens += "h\x01";
          return tens;
        }() +
        "e";
  pickle += ".";
  const auto value =
      read_pickle(std::as_bytes(std::span(pickle)), [](const StorageRequest&) { return std::nullopt; }).value;
  EXPECT_THROW((void)to_json_text(value), Error);
}

}  // namespace
}  // namespace melisma
