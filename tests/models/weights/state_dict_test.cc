#include "models/weights/state_dict.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>

#include "tools/base/error.h"

namespace melisma {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(StateDict, KeepsInsertionOrderThroughReplaceAndErase) {
  StateDict weights;
  weights.add("b", at::ones({2}));
  weights.add("a", at::zeros({3}));
  weights.add("c", at::zeros({4, 5}));
  weights.replace("a", at::ones({7}));
  weights.erase("b");
  ASSERT_EQ(weights.size(), 2u);
  EXPECT_EQ(weights.items()[0].first, "a");
  EXPECT_EQ(weights.items()[1].first, "c");
  EXPECT_EQ(weights.at("a").numel(), 7);
  EXPECT_EQ(weights.at("c").dim(), 2);
  EXPECT_EQ(weights.n_parameters(), 27);
}

TEST(StateDict, RefusesAnUnknownNameWithASuggestion) {
  StateDict weights;
  weights.add("dec.conv_pre.weight", at::ones({2}));
  EXPECT_EQ(message_of([&] { (void)weights.at("dec.conv_per.weight"); }),
            "checkpoint: there is no tensor 'dec.conv_per.weight' among 1; did you mean 'dec.conv_pre.weight'?");
  EXPECT_EQ(message_of([&] { weights.add("dec.conv_pre.weight", at::ones({2})); }),
            "checkpoint: the tensor 'dec.conv_pre.weight' appears twice");
}

TEST(StateDict, DifferenceSaysWhatIsMissingUnexpectedAndOfAnotherShape) {
  StateDict model, file;
  model.add("a", at::ones({2, 3}));
  model.add("b", at::ones({2}));
  model.add("half", at::ones({2}, at::kHalf));
  file.add("a", at::ones({2, 4}));
  file.add("x", at::ones({1}));
  file.add("half", at::ones({2}));
  const auto difference = model.difference_to(file);
  EXPECT_FALSE(difference.empty());
  EXPECT_EQ(difference.summary(),
            "'a' is [2,4] in the file but [2,3] in the model; 1 tensor is missing ('b'); 1 tensor is unexpected ('x')");
  EXPECT_TRUE(model.difference_to(model).empty());
}

TEST(StateDict, DifferenceShowsOnlyTheFirstFewNames) {
  StateDict model;
  for (int i = 0; i < 9; ++i) model.add("layer" + std::to_string(i), at::ones({1}));
  EXPECT_EQ(model.difference_to(StateDict()).summary(),
            "9 tensors are missing ('layer0', 'layer1', 'layer2', 'layer3', 'layer4' and 4 more)");
}

}  // namespace
}  // namespace melisma
