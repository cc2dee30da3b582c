#include "models/rvc/training_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "models/rvc/discriminator.h"
#include "models/rvc/experiment_config.h"
#include "models/rvc/synthesizer.h"
#include "models/rvc/voice_file.h"
#include "models/rvc/voice_model.h"
#include "models/weights/pth_file.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using melisma::testing::golden_folder;
using melisma::testing::load_json;
using melisma::testing::refusal_of;
using melisma::testing::TemporaryFolder;
using ::testing::HasSubstr;

std::vector<std::string> names_of(const StateDict& dict) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : dict) names.push_back(name);
  return names;
}

bool equal(const StateDict& a, const StateDict& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) {
           return b.contains(item.first) && at::equal(item.second, b.at(item.first));
         });
}

PickleValue& under(PickleValue& dict, std::string_view key) { return *const_cast<PickleValue*>(dict.find(key)); }

// G_train_applio.pth, changed by a test and written again.
class TrainingFile : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(golden_)) GTEST_SKIP();
    root_ = read_pth(golden_);
  }
  PickleValue& state() { return under(under(root_, "optimizer"), "state"); }
  PickleValue& group() { return under(under(root_, "optimizer"), "param_groups").sequence()->items.front(); }
  fs::path written() {
    write_pth(folder_ / "G.pth", root_);
    return folder_ / "G.pth";
  }
  std::string refusal() {
    const auto path = written();
    return refusal_of(ErrorKind::checkpoint, [&] { (void)read_rvc_generator(path); });
  }

  fs::path golden_ = golden_folder("rvc/files") / "G_train_applio.pth";
  TemporaryFolder folder_;
  PickleValue root_;
};

// The fixture's order of RVC-WebUI is that of its older releases. Its own trainer of commit 4338f12, given that order,
// ends on the first step: the class of v2 deletes the text encoder it inherits and makes another one, last of all.
TEST(GoldenTrainingFile, KnowsTheOrderOfEveryTool) {
  const auto path = golden_folder("rvc") / "param_order_v2_40k.json";
  if (!fs::exists(path)) GTEST_SKIP();
  const auto golden = load_json(path);
  const auto applio = golden["applio"].get<std::vector<std::string>>();
  std::vector<std::string> webui(applio.size());
  for (std::size_t i = 0; i < applio.size(); ++i) {
    webui[golden["webui_index_of_applio_entry"][i].get<std::size_t>()] = applio[i];
  }
  auto config = rvc_v2_40k();
  config.n_layers =
      std::count_if(applio.begin(), applio.end(), [](const auto& name) { return name.ends_with(".emb_rel_k"); });
  EXPECT_THAT(names_of(rvc_generator_parameters(config, RvcTool::applio)), ::testing::ContainerEq(applio));
  EXPECT_THAT(names_of(rvc_generator_parameters(config, RvcTool::webui_old)), ::testing::ContainerEq(webui));
  std::stable_partition(webui.begin(), webui.end(), [](const auto& name) { return !name.starts_with("enc_p."); });
  EXPECT_EQ(webui.front(), "dec.m_source.l_linear.weight");
  EXPECT_THAT(names_of(rvc_generator_parameters(config, RvcTool::webui)), ::testing::ContainerEq(webui));
  config.content_channels = 256;
  EXPECT_EQ(names_of(rvc_generator_parameters(config, RvcTool::webui)),
            names_of(rvc_generator_parameters(config, RvcTool::webui_old)));
}

TEST(GoldenTrainingFile, GivesApplioMomentsTheirNames) {
  const auto path = golden_folder("rvc/files") / "G_train_applio.pth";
  if (!fs::exists(path)) GTEST_SKIP();
  const auto expected = load_json(golden_folder("rvc/files") / "expected.json")["G_train_applio.pth"];
  const auto file = read_rvc_generator(path);
  EXPECT_EQ(file.model.epoch, expected["iteration"]);
  EXPECT_EQ(file.order, RvcTool::applio);
  EXPECT_TRUE(file.has_moments);
  EXPECT_EQ(file.moments.size(), 3 * expected["optimizer_state_entries"].get<std::size_t>());
  const auto& group = expected["param_groups"][0];
  EXPECT_EQ(file.optimizer.lr, group["lr"]);
  EXPECT_EQ(file.optimizer.beta1, group["betas"][0]);
  EXPECT_EQ(file.optimizer.beta2, group["betas"][1]);
  EXPECT_EQ(file.optimizer.eps, group["eps"]);
  EXPECT_EQ(file.optimizer.weight_decay, group["weight_decay"]);
  EXPECT_FALSE(file.optimizer.initial_lr);
  double sum = 0;
  for (const auto& [name, tensor] : file.moments) {
    if (name.ends_with("/exp_avg_sq")) sum += tensor.sum().item<double>();
  }
  EXPECT_NEAR(sum, expected["_exp_avg_sq_sum"].get<double>(), 1e-8);
}

TEST(GoldenTrainingFile, FreshOptimizersGiveZeros) {
  const auto topic = golden_folder("rvc/files");
  if (!fs::exists(topic)) GTEST_SKIP();
  for (const auto& file : {read_rvc_generator(topic / "G_train_webui_nostate.pth"),
                           read_rvc_discriminator(topic / "D_train_applio_nostate.pth")}) {
    EXPECT_FALSE(file.has_moments);
    EXPECT_EQ(file.model.epoch, 7);
    EXPECT_EQ(file.moments.size(), 3 * file.model.weights.size());
    for (const auto& [name, tensor] : file.moments) EXPECT_EQ(tensor.abs().sum().item<double>(), 0) << name;
  }
}

TEST_F(TrainingFile, WrittenForAnyToolItReadsBackAndSaysWhose) {
  const auto file = read_rvc_generator(golden_);
  for (const auto tool : kRvcTools) {
    SCOPED_TRACE(name_of(tool));
    write_rvc_generator(folder_ / "again.pth", file, tool);
    const auto again = read_rvc_generator(folder_ / "again.pth");
    EXPECT_EQ(again.order, tool);
    EXPECT_EQ(again.model.epoch, 7);
    EXPECT_EQ(again.model.layout, tool == RvcTool::applio ? "applio-checkpoint" : "webui-checkpoint");
    EXPECT_TRUE(equal(again.model.weights, file.model.weights));
    EXPECT_TRUE(equal(again.moments, file.moments));
    EXPECT_EQ(names_of(again.model.weights),
              names_of(rvc_generator_parameters(rvc_voice_config(file.model).network, tool)));
  }
}

TEST_F(TrainingFile, WhatApplioWroteIsWrittenAsItWas) {
  write_rvc_generator(folder_ / "again.pth", read_rvc_generator(golden_), RvcTool::applio);
  const auto again = read_pth(folder_ / "again.pth");
  for (const auto* key : {"iteration", "learning_rate", "scaler"}) {
    EXPECT_EQ(to_json_text(*again.find(key)), to_json_text(*root_.find(key))) << key;
  }
  EXPECT_EQ(to_json_text(*again.find("optimizer")->find("param_groups")),
            to_json_text(*root_.find("optimizer")->find("param_groups")));
  const auto &before = state().dict()->items, &after = again.find("optimizer")->find("state")->dict()->items;
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].first.integer(), after[i].first.integer());
    for (const auto* part : {"step", "exp_avg", "exp_avg_sq"}) {
      EXPECT_TRUE(at::equal(*before[i].second.find(part)->tensor(), *after[i].second.find(part)->tensor())) << i;
    }
  }
}

TEST_F(TrainingFile, ADiscriminatorReadsBackToo) {
  RvcTrainingFile file = read_rvc_discriminator(golden_folder("rvc/files") / "D_train_applio_nostate.pth");
  for (const auto& [name, tensor] : file.moments) tensor.fill_(name.ends_with("/step") ? 12 : 0.5);
  file.optimizer.initial_lr = 2e-4;
  write_rvc_discriminator(folder_ / "D.pth", file, RvcTool::applio);
  const auto again = read_rvc_discriminator(folder_ / "D.pth");
  EXPECT_TRUE(again.has_moments);
  EXPECT_TRUE(equal(again.model.weights, file.model.weights));
  EXPECT_TRUE(equal(again.moments, file.moments));
  EXPECT_EQ(again.optimizer.initial_lr, 2e-4);
  EXPECT_EQ(read_pth(folder_ / "D.pth").find("learning_rate")->number(), 2e-4);
}

TEST_F(TrainingFile, OfRefineGanTakesItsSampleRateFromTheConfigurationBesideIt) {
  auto config = rvc_v2_32k();
  config.hidden_channels = config.inter_channels = config.filter_channels = 8;
  config.n_layers = config.posterior_layers = 1;
  config.speaker_channels = 4;
  config.upsample_initial_channels = 32;
  config.vocoder = "refinegan";
  Synthesizer network(config, {});
  RvcTrainingFile file;
  file.model.family = "rvc";
  file.model.weights = network.state_dict();
  file.model.config = to_canonical_json({config, "", "", {}});
  file.model.epoch = 3;
  for (const auto& [name, tensor] : file.model.weights) {
    file.moments.add(name + "/exp_avg", at::full_like(tensor, 0.25));
    file.moments.add(name + "/exp_avg_sq", at::full_like(tensor, 0.5));
    file.moments.add(name + "/step", at::full({}, 7.0));
  }
  const auto path = folder_ / "G_7.pth";
  write_rvc_generator(path, file, RvcTool::applio);
  EXPECT_THAT(refusal_of(ErrorKind::checkpoint, [&] { (void)read_rvc_generator(path); }),
              HasSubstr("do not tell 24 from 32 kHz"));
  EXPECT_EQ(read_rvc_generator(path, 24000).model.sample_rate_hz, 24000);
  write_file_atomically(folder_ / "config.json", to_experiment_json({.network = config}));
  const auto again = read_rvc_generator(path);
  EXPECT_EQ(again.model.sample_rate_hz, 32000);
  EXPECT_EQ(again.model.epoch, 3);
  EXPECT_TRUE(equal(again.model.weights, file.model.weights));
  EXPECT_TRUE(equal(again.moments, file.moments));
  EXPECT_EQ(read_rvc_voice(path).sample_rate_hz, 32000);
  write_file_atomically(folder_ / "config.json", "{}");
  EXPECT_THAT(refusal_of(ErrorKind::checkpoint, [&] { (void)read_rvc_voice(path); }),
              HasSubstr("it has no section 'train'"));
}

TEST_F(TrainingFile, NamesOfNewerTorchAndStepsOfOlderTorchAreUnderstood) {
  const auto expected = read_rvc_generator(golden_);
  for (auto& [key, value] : under(root_, "model").dict()->items) {
    auto name = *key.text();
    if (name.ends_with(".weight_g")) key = name.substr(0, name.size() - 9) + ".parametrizations.weight.original0";
    if (name.ends_with(".weight_v")) key = name.substr(0, name.size() - 9) + ".parametrizations.weight.original1";
  }
  for (auto& [key, entry] : state().dict()->items) {
    auto& step = under(entry, "step");
    step = static_cast<std::int64_t>(step.tensor()->item<double>());
  }
  const auto file = read_rvc_generator(written());
  EXPECT_TRUE(equal(file.model.weights, expected.model.weights));
  EXPECT_TRUE(equal(file.moments, expected.moments));
}

TEST_F(TrainingFile, ParametersThatNeverSteppedHaveZeros) {
  auto& entries = state().dict()->items;
  entries.erase(entries.begin() + 3);
  const auto file = read_rvc_generator(written());
  const auto name = file.model.weights.items()[3].first;
  EXPECT_EQ(file.moments.at(name + "/step").item<double>(), 0);
  EXPECT_EQ(file.moments.at(name + "/exp_avg").abs().sum().item<double>(), 0);
  write_rvc_generator(folder_ / "again.pth", file, RvcTool::applio);
  const auto again = read_pth(folder_ / "again.pth");
  EXPECT_EQ(again.find("optimizer")->find("state")->dict()->items.size(), entries.size());
}

TEST_F(TrainingFile, MomentsInNobodysOrderAreRefused) {
  auto& entries = state().dict()->items;
  std::swap(entries[0].second, entries[2].second);
  EXPECT_THAT(refusal(), ::testing::AllOf(HasSubstr("neither in Applio's order of parameters (number 0 has moments of"),
                                          HasSubstr(", nor in RVC-WebUI's order of parameters (number 0 has"),
                                          HasSubstr(", nor in older RVC-WebUI's order of parameters (number 0 has")));
}

TEST_F(TrainingFile, AnOrderThatCannotBeToldIsRefused) {
  state().dict()->items.resize(3);                                  // before the places where the tools differ
  EXPECT_EQ(read_rvc_generator(written()).order, RvcTool::applio);  // the weights beside them tell
  auto& weights = under(root_, "model").dict()->items;
  std::reverse(weights.begin(), weights.end());
  EXPECT_THAT(refusal(), HasSubstr("could be in the order of several tools, and its weights are in none of these"));
}

TEST_F(TrainingFile, OtherOptimizersAreRefused) {
  under(group(), "amsgrad") = true;
  EXPECT_THAT(refusal(), HasSubstr("amsgrad"));
  under(group(), "amsgrad") = false;
  auto& groups = under(under(root_, "optimizer"), "param_groups").sequence()->items;
  groups.push_back(groups.front());
  EXPECT_THAT(refusal(), HasSubstr("2 parameter groups; one is expected"));
  groups.pop_back();
  auto& numbers = under(group(), "params").sequence()->items;
  const auto last = numbers.back();
  numbers.pop_back();
  EXPECT_THAT(refusal(), HasSubstr("moments of a parameter that it does not list"));
  numbers.push_back(numbers.front());
  EXPECT_THAT(refusal(), HasSubstr("list of parameters is damaged at place 325"));
  numbers.back() = last;
  state().dict()->items.front().second.dict()->items.erase(state().dict()->items.front().second.dict()->items.begin() +
                                                           1);
  EXPECT_THAT(refusal(), HasSubstr("no 'exp_avg' of parameter 0: it is not Adam or AdamW"));
}

TEST_F(TrainingFile, MomentsThatAreNoNumbersAreRefused) {
  under(state().dict()->items.front().second, "exp_avg") = at::full({4, 768}, std::nan(""));
  EXPECT_THAT(refusal(), HasSubstr("'enc_p.emb_phone.weight/exp_avg' holds NaN"));
}

TEST_F(TrainingFile, OtherFilesAreRefusedInWords) {
  const auto topic = golden_folder("rvc/files");
  const auto as_generator = [&](const fs::path& path) {
    return refusal_of(ErrorKind::checkpoint, [&] { (void)read_rvc_generator(path); });
  };
  EXPECT_THAT(as_generator(topic / "voice_applio.pth"), HasSubstr("no training checkpoint but an extracted voice"));
  EXPECT_THAT(as_generator(topic / "D_train_applio_nostate.pth"), HasSubstr("it is a discriminator (D file)"));
  EXPECT_THAT(as_generator(topic / "expected.json"), HasSubstr("is no PyTorch file"));
  EXPECT_THAT(refusal_of(ErrorKind::checkpoint, [&] { (void)read_rvc_discriminator(golden_); }),
              HasSubstr("'enc_p.emb_phone.weight' is no tensor of an RVC discriminator"));
}

TEST(DiscriminatorShapes, GiveTheConfigurationOfEveryVersionAndWidthBack) {
  for (const auto version : kRvcDiscriminators) {
    for (const std::int64_t divisor : {8, 16}) {
      const RvcDiscriminatorConfig config{std::string(version), divisor, 2 * divisor};
      EXPECT_EQ(rvc_discriminator_of_shapes(Discriminator(config).state_dict()), config) << version << " " << divisor;
      auto weights = Discriminator(config).state_dict();
      EXPECT_EQ(names_of(in_discriminator_order(weights)), names_of(weights));
      weights.erase("discriminators.2.conv_post.bias");
      EXPECT_THAT(refusal_of(ErrorKind::checkpoint, [&] { (void)rvc_discriminator_of_shapes(weights); }),
                  HasSubstr("'discriminators.2.conv_post.bias'"));
    }
  }
}

}  // namespace
}  // namespace melisma
