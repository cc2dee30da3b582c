// Every vocoder from training to a converted recording, with the real program.
#include "tests/cli/training.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using testing::run_program;

class Vocoders : public testing::Training {
 protected:
  static testing::ProgramResult expect_success(const Words& words) {
    auto result = run_program(folder(), words);
    EXPECT_EQ(result.exit_code, 0) << words.front() << ": " << result.err;
    return result;
  }
  // Trains the voice `vocoder` for an epoch; then scores, extracts and speaks with it.
  static void expect_usable(const std::string& vocoder, const Words& settings, const std::string& told) {
    Words words{"--epochs", "1", "--set", "model.vocoder=" + vocoder};
    words.insert(words.end(), settings.begin(), settings.end());
    const auto trained = train_tiny(vocoder, words);
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_THAT(trained.err, HasSubstr(told));
    const auto dataset = dataset_file("mara").string();
    EXPECT_THAT(expect_success({"evaluate", vocoder, "--dataset", dataset, "--split", "validation"}).out,
                HasSubstr("mel_distance"));
    for (const std::string type : {"fp32", "int8"}) {
      const auto voice = vocoder + "-" + type + ".safetensors", wave = vocoder + "-" + type + ".wav";
      (void)expect_success({"extract", vocoder, "--dtype", type, "-o", voice});
      (void)expect_success({"convert", voice, "in/mara/0.wav", "-o", wave});
      EXPECT_GT(std::filesystem::file_size(folder() / wave), 80000u);  // two seconds of 16 bits at 40 kHz are 160,000
    }
    EXPECT_LT(std::filesystem::file_size(folder() / (vocoder + "-int8.safetensors")),
              std::filesystem::file_size(folder() / (vocoder + "-fp32.safetensors")));
  }
};

TEST_F(Vocoders, MrfTrainsScoresExtractsAndSpeaks) { expect_usable("mrf", {}, "v2-40k, MRF HiFi-GAN, 40000 Hz"); }

TEST_F(Vocoders, RefineGanTrainsScoresExtractsAndSpeaks) {
  expect_usable("refinegan", {"--set", "model.upsample_initial_channels=32", "--set", "discriminator.version=v3"},
                "multiscale mels, discriminator v3");
}

}  // namespace
}  // namespace melisma
