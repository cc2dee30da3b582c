#include "models/pitch/pitch_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/weights/pth_file.h"
#include "tests/models/pitch/networks.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::formula_weights_for;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr RmvpeShape kSmallRmvpe{.levels = 2, .blocks = 1, .bottom_layers = 1, .first_channels = 2, .hidden = 4};
constexpr CrepeShape kSmallCrepe{{4, 3, 3, 3, 3, 3}};

class PitchFiles : public ::testing::Test {
 protected:
  // A .pth that holds these tensors alone, as torch.save(state_dict) writes it.
  std::filesystem::path write(const std::string& name, const StateDict& weights) const {
    auto dict = std::make_shared<PickleDict>();
    dict->is_ordered = true;
    for (const auto& [key, tensor] : weights) dict->set(key, tensor.contiguous());
    write_pth(folder_ / name, dict);
    return folder_ / name;
  }
  static std::string message_of(const auto& action) {
    try {
      (void)action();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::checkpoint);
      return error.what();
    }
    return "accepted";
  }
  TemporaryFolder folder_;
};

TEST_F(PitchFiles, AreReadOnceAndAgainWhenTheyChange) {
  const auto path = write("rmvpe.pt", formula_weights_for<Rmvpe>(kSmallRmvpe, "a/"));
  const auto first = load_rmvpe(path);
  EXPECT_EQ(first->shape(), kSmallRmvpe);
  EXPECT_EQ(load_rmvpe(path), first);
  const auto sha256 = sha256_of_weights(path);
  const auto written = std::filesystem::last_write_time(path);
  write("rmvpe.pt", formula_weights_for<Rmvpe>(kSmallRmvpe, "b/"));
  std::filesystem::last_write_time(path, written + std::chrono::seconds(2));
  EXPECT_NE(load_rmvpe(path), first);
  EXPECT_NE(sha256_of_weights(path), sha256);
}

TEST_F(PitchFiles, SayWhatDoesNotFit) {
  auto weights = formula_weights_for<Rmvpe>(kSmallRmvpe, "a/");
  weights.erase("fc.1.bias");
  weights.replace("cnn.bias", at::zeros({4}));
  weights.replace("fc.1.weight", at::full({360, 8}, std::nan("")));
  weights.add("extra", at::zeros({1}));
  const auto path = write("rmvpe.pt", weights);
  const auto message = message_of([&] { return load_rmvpe(path); });
  EXPECT_THAT(message, HasSubstr("rmvpe.pt"));
  EXPECT_THAT(message, HasSubstr("'cnn.bias' is [4] in the file but [3] in the model"));
  EXPECT_THAT(message, HasSubstr("'fc.1.weight' holds values that are no numbers"));
  EXPECT_THAT(message, HasSubstr("1 tensor is missing ('fc.1.bias')"));
  EXPECT_THAT(message, HasSubstr("1 tensor is unexpected ('extra')"));
}

TEST_F(PitchFiles, AreToldApartFromOneAnother) {
  const auto crepe = write("tiny.pth", formula_weights_for<Crepe>(kSmallCrepe, "a/"));
  EXPECT_EQ(load_crepe(crepe)->shape(), kSmallCrepe);
  EXPECT_THAT(message_of([&] { return load_rmvpe(crepe); }), HasSubstr("it is not an RMVPE network; give rmvpe.pt"));
  EXPECT_THAT(message_of([&] { return load_fcpe(crepe); }), HasSubstr("it is not an FCPE network"));
  const auto rmvpe = write("rmvpe.pt", formula_weights_for<Rmvpe>(kSmallRmvpe, "a/"));
  EXPECT_THAT(message_of([&] { return load_crepe(rmvpe); }), HasSubstr("it is not a CREPE network"));
}

TEST_F(PitchFiles, ThatAreNoWeightsAreRefused) {
  write_file_atomically(folder_ / "text.pt", "no weights at all");
  EXPECT_THAT(message_of([&] { return load_rmvpe(folder_ / "text.pt"); }), HasSubstr("text.pt"));
  EXPECT_THAT(message_of([&] { return load_rmvpe(folder_ / "none.pt"); }), HasSubstr("none.pt"));
}

}  // namespace
}  // namespace melisma
