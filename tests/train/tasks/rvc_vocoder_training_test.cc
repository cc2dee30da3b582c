// Training with each vocoder, and with frozen parts: a few steps of a tiny network on pseudo-speech.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>

#include "data/signal/mel_loss.h"
#include "tests/support/refusal.h"
#include "tests/train/tasks/speech_training.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "train/engine/optimizer.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::kRate;
using testing::speech_dataset;
using testing::SpeechRun;
using testing::TemporaryFolder;
using testing::tiny_settings;

TEST(VocoderTraining, FollowsTheVocoderUnlessItIsSet) {
  const auto settings_of = [](std::vector<std::string> more) {
    RvcRecipe recipe;
    auto schema = recipe.schema();
    configure(schema, std::nullopt, more);
    return recipe.settings();
  };
  EXPECT_EQ(settings_of({}).discriminator.version, "v2");
  EXPECT_EQ(settings_of({"model.vocoder=mrf"}).discriminator.version, "v2");
  EXPECT_EQ(settings_of({"model.vocoder=mrf"}).losses.mel_kind, "single");
  EXPECT_EQ(settings_of({"model.vocoder=refinegan"}).discriminator.version, "v3");
  EXPECT_EQ(settings_of({"model.vocoder=refinegan"}).losses.mel_kind, "multiscale");
  EXPECT_EQ(settings_of({"model.vocoder=refinegan", "preset=v2-24k"}).discriminator.version, "v3");
  EXPECT_EQ(settings_of({"discriminator.version=v1", "model.vocoder=refinegan"}).discriminator.version, "v1");
  EXPECT_EQ(settings_of({"model.vocoder=refinegan", "losses.mel_kind=single"}).losses.mel_kind, "single");
}

TEST(VocoderTraining, ThreeStepsSaveResumeThreeEqualSixBitForBit) {
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  for (const auto& vocoder : kRvcVocoders) {
    SCOPED_TRACE(vocoder.name);
    const std::string name(vocoder.name);
    SpeechRun straight(dataset, tiny_settings(name)), first(dataset, tiny_settings(name)),
        second(dataset, tiny_settings(name));
    straight.train(folder / (name + "-straight"), 2);
    EXPECT_EQ(straight.trainer->state().step, 6);
    first.train(folder / (name + "-halves"), 1);
    first.trainer.reset();
    second.train(folder / (name + "-halves"), 2, /*resumes=*/true);
    for (const auto* file : {"model.safetensors", "discriminator.safetensors", "optimizer.safetensors"}) {
      EXPECT_EQ(read_file(straight.trainer->checkpoints().back().folder / file),
                read_file(second.trainer->checkpoints().back().folder / file))
          << file;
    }
  }
}

TEST(VocoderTraining, OneBatchIsLearntWithEveryVocoder) {
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  for (const auto& vocoder : kRvcVocoders) {
    auto settings = tiny_settings(std::string(vocoder.name));
    for (const auto* more : {"discriminator.version=v1", "losses.adversarial=0", "losses.feature=0", "losses.kl=0"}) {
      settings.emplace_back(more);
    }
    SpeechRun run(dataset, settings);
    auto& task = run.task();
    AdamW optimizer(task.generator(), {.weight_decay = 0});
    const auto batch = run.composed.loader->batch(1, 0);
    std::vector<double> mel;
    for (std::int64_t step = 0; step < 40; ++step) {
      const StepContext context(1, 1, step, 0);
      task.begin_step({&batch, 1});
      (void)task.losses(0, batch, context);
      optimizer.zero_grad();
      const auto losses = task.losses(1, batch, context);
      losses.total.backward();
      optimizer.step(0.01, at::zeros({}, at::kBool));
      mel.push_back(losses.terms.front().second.item<double>());
    }
    const auto mean_of = [&](std::size_t first) {
      return std::accumulate(mel.begin() + static_cast<std::ptrdiff_t>(first),
                             mel.begin() + static_cast<std::ptrdiff_t>(first + 5), 0.0);
    };
    EXPECT_LT(mean_of(35), 0.8 * mean_of(0)) << vocoder.name;
  }
}

TEST(VocoderTraining, TheHeaderSaysWhatIsKnownAgainstAVocoder) {
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  const auto caveats_of = [&](const std::string& vocoder) {
    const SpeechRun run(dataset, tiny_settings(vocoder));
    return std::ranges::count_if(run.composed.facts, [](const auto& fact) {
      return fact.first == "vocoder" && fact.second.find("mirrored spectra") != std::string::npos;
    });
  };
  EXPECT_EQ(caveats_of("refinegan"), 1);
  EXPECT_EQ(caveats_of("hifigan"), 0);
}

TEST(VocoderTraining, TheMultiscaleTermIsAThirdOfTheSumOverResolutions) {
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  SpeechRun run(dataset, tiny_settings("refinegan"));
  const auto batch = run.composed.loader->batch(1, 0);
  const StepContext context(1, 1, 0, 0);
  auto& task = run.task();
  task.begin_step({&batch, 1});
  (void)task.losses(0, batch, context);
  const auto losses = task.losses(1, batch, context);
  const auto& model = run.recipe.settings().model;
  const RvcInput input{batch.at("content"), batch.at("lengths"), batch.at("coarse_pitch"), batch.at("f0"),
                       batch.at("speaker")};
  const auto frames = batch.at("spectrum").size(2);
  const auto made =
      task.generator().forward(input, batch.at("spectrum"), NoiseSource().draw(model, batch.n_items, frames, context));
  const auto recorded = slice_rows(batch.at("wave"), made.slice_starts * model.hop, model.segment_samples());
  const auto expected = multiscale_mel_loss(made.wave.squeeze(1), recorded.squeeze(1), kRate) / 3;
  EXPECT_EQ(losses.terms.front().first, "mel");
  EXPECT_NEAR(losses.terms.front().second.item<double>(), expected.item<double>(), 1e-6);
}

TEST(VocoderTraining, EverySpeakersRowIsTrainedAndNoOther) {
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  auto settings = tiny_settings("hifigan");
  settings.emplace_back("generator_optimizer.weight_decay=0");
  SpeechRun run(dataset, settings);
  const auto before = run.task().generator().state_dict().at("emb_g.weight").clone();
  run.train(folder / "run", 1);
  const auto moved = (run.task().generator().state_dict().at("emb_g.weight") - before).abs().sum(1);
  EXPECT_GT(moved[0].item<double>(), 0);
  EXPECT_GT(moved[1].item<double>(), 0);
  EXPECT_EQ(moved[2].item<double>(), 0);  // nobody's
  const auto voice = rvc_voice_config(run.task().model_file());
  EXPECT_EQ(voice.speaker_names, (std::vector<std::string>{"ann", "bob"}));
}

TEST(FrozenTraining, FrozenPartsKeepTheirBitsAlsoAfterAResume) {
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  auto settings = tiny_settings("hifigan");
  settings.emplace_back(R"(freeze.generator=["enc_p", "dec.ups.0", "flow.flows.*.post"])");
  settings.emplace_back(R"(freeze.discriminator=["discriminators.0"])");
  SpeechRun run(dataset, settings), resumed(dataset, settings);
  const auto copy = [](const Module& module) {
    StateDict weights;
    for (const auto& [name, tensor] : module.state_dict()) weights.add(name, tensor.clone());
    return weights;
  };
  const auto generator = copy(run.task().generator()), discriminator = copy(run.task().discriminator());
  run.train(folder / "run", 1);
  run.trainer.reset();
  resumed.train(folder / "run", 2, /*resumes=*/true);
  const auto expect_same = [](const StateDict& before, const Module& after, const auto& is_frozen) {
    std::int64_t n_frozen = 0;
    for (const auto& [name, tensor] : after.state_dict()) {
      n_frozen += is_frozen(name);
      EXPECT_EQ(at::equal(tensor, before.at(name)), is_frozen(name)) << name;
    }
    EXPECT_GT(n_frozen, 0);
  };
  expect_same(generator, resumed.task().generator(), [](const std::string& name) {
    return name.starts_with("enc_p.") || name.starts_with("dec.ups.0.") ||
           (name.starts_with("flow.") && name.find(".post.") != std::string::npos);
  });
  expect_same(discriminator, resumed.task().discriminator(),
              [](const std::string& name) { return name.starts_with("discriminators.0."); });
  std::vector<std::string> told;
  for (const auto& [about, what] : run.composed.facts) {
    if (about == "frozen") told.push_back(what);
  }
  ASSERT_EQ(told.size(), 2u);
  EXPECT_TRUE(told[1].ends_with("parameters of the generator: enc_p, dec.ups.0, flow.flows.*.post")) << told[1];
}

TEST(FrozenTraining, MisspeltPartsAndTooShortSegmentsAreRefused) {
  const TemporaryFolder folder;
  const auto dataset = speech_dataset(folder / "speech.h5");
  const auto refusal = [&](const std::string& vocoder, const std::string& more) {
    auto settings = tiny_settings(vocoder);
    settings.push_back(more);
    return testing::refusal_of(ErrorKind::config, [&] { SpeechRun run(dataset, settings); });
  };
  EXPECT_EQ(refusal("hifigan", R"(freeze.generator=["enc_p", "dec.upd.0"])"),
            "freeze.generator: no parameter is called 'dec.upd.0' or begins with it; did you mean 'dec.ups.0' or "
            "'dec.ups.1' or 'dec.ups.2'?");
  EXPECT_EQ(refusal("refinegan", "model.segment_frames=4"),
            "segment_frames = 4 are 960 samples, but discriminator v3 and multiscale mels need more than 1024; set "
            "model.segment_frames = 5");
}

}  // namespace
}  // namespace melisma
