#include "models/rvc/voice_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "models/rvc/tensor_shapes.h"
#include "models/weights/pth_file.h"
#include "models/weights/weight_norm.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using melisma::testing::golden_files;
using melisma::testing::golden_folder;
using melisma::testing::load_json;
using melisma::testing::TemporaryFolder;

std::string voice_refusal(const fs::path& path) {
  return melisma::testing::refusal_of(ErrorKind::checkpoint, [&] { (void)read_rvc_voice(path); });
}

RvcConfig narrow(RvcConfig config, std::string_view vocoder) {
  config.inter_channels = config.hidden_channels = 8;
  config.filter_channels = 12;
  config.speaker_channels = 4;
  config.upsample_initial_channels = 64;
  config.posterior_layers = 3;
  config.vocoder = vocoder;
  return config;
}

TEST(TensorShapes, AreThoseOfTheNetworkInOrderForEveryConfigurationAndForm) {
  for (const auto& row : kRvcConfigs) {
    for (const auto& vocoder : kRvcVocoders) {
      auto config = narrow(row.make(), vocoder.name);
      for (const bool use_f0 : {true, false}) {
        config.use_f0 = use_f0;
        if (!use_f0 && config.vocoder != "hifigan") continue;
        for (const bool posterior : {true, false}) {
          for (const bool weight_norm : {true, false}) {
            const SynthesizerForm form{.posterior = posterior, .weight_norm = weight_norm};
            const auto shapes = rvc_tensor_shapes(config, form);
            const auto network = Synthesizer(config, form).state_dict();
            const auto difference = network.difference_to(shapes);
            EXPECT_TRUE(difference.empty()) << row.name << " " << vocoder.name << ": " << difference.summary();
            for (std::size_t i = 0; i < network.size(); ++i) {
              EXPECT_EQ(shapes.items()[i].first, network.items()[i].first);
            }
            EXPECT_EQ(rvc_vocoder_of_shapes(shapes), vocoder.name);
          }
        }
      }
    }
  }
}

TEST(TensorShapes, GiveTheConfigurationOfEveryCheckpointBack) {
  for (const auto& row : kRvcConfigs) {
    for (const auto* vocoder : {"hifigan", "mrf"}) {
      auto config = row.make();
      config.speakers = 7;
      config.vocoder = vocoder;
      for (const bool weight_norm : {true, false}) {
        const auto shapes = rvc_tensor_shapes(config, {.posterior = true, .weight_norm = weight_norm});
        EXPECT_EQ(rvc_config_of_shapes(shapes), config) << row.name << " " << vocoder;
      }
    }
  }
}

TEST(TensorShapes, OfRefineGanDoNotTellTheRate) {
  for (const auto& row : kRvcConfigs) {
    const auto config = narrow(row.make(), "refinegan");
    EXPECT_EQ(rvc_config_of_shapes(rvc_tensor_shapes(config, {}), config.sample_rate_hz), config) << row.name;
  }
  const auto shapes = rvc_tensor_shapes(narrow(rvc_v2_32k(), "refinegan"), {});
  const auto refusal = [](const StateDict& weights, std::int64_t rate) {
    return melisma::testing::refusal_of(ErrorKind::checkpoint, [&] { (void)rvc_config_of_shapes(weights, rate); });
  };
  EXPECT_EQ(refusal(shapes, 0),
            "its decoder is RefineGAN's, whose tensors do not tell 24 from 32 kHz, nor 40 from 48. Put the config.json "
            "of its experiment beside it, or give --sample-rate to melisma import or extract");
  EXPECT_EQ(refusal(shapes, 40000), "it hears spectra of 1024 samples; voices of 40000 Hz have 2048");
  EXPECT_EQ(refusal(shapes, 22050), "no RVC configuration is at 22050 Hz with 4 upsampling stages");
  EXPECT_EQ(refusal(rvc_tensor_shapes(rvc_v2_40k(), {}), 48000), "its decoder is one of 40000 Hz, not of 48000 Hz");
}

std::vector<TensorToWrite> tensors_of(const ModelFile& file) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : file.weights) {
    tensors.push_back({name, tensor.sizes().vec(), tensor.scalar_type(), [tensor = tensor] { return tensor; }});
  }
  return tensors;
}

TEST(GoldenVoiceFile, ReadsTheVoicesOfBothToolsAndKnowsTheirConfiguration) {
  const auto found = golden_files("rvc/files", "voice_", ".pth");
  if (!found.has_topic) GTEST_SKIP();
  const auto expected = load_json(golden_folder("rvc/files") / "expected.json");
  for (const auto& path : found.files) {
    SCOPED_TRACE(path.filename());
    const auto file = read_rvc_voice(path);
    const auto network = rvc_voice_config(file).network;
    EXPECT_EQ(file.sample_rate_hz, 40000);
    EXPECT_EQ(network.content_channels, 768);
    EXPECT_EQ(network.speakers, 2);
    EXPECT_EQ(nlohmann::json::parse(rvc_tool_config(network)), expected[path.filename().string()]["config"]);
    EXPECT_EQ(build_synthesizer(file)->config(), network);
  }
}

TEST(GoldenVoiceFile, WorksOutTheConfigurationOfTrainingCheckpoints) {
  for (const auto* name : {"G_train_applio.pth", "G_train_webui_nostate.pth"}) {
    const auto path = golden_folder("rvc/files") / name;
    if (!fs::exists(path)) GTEST_SKIP();
    const auto file = read_rvc_voice(path);
    const auto network = rvc_voice_config(file).network;
    EXPECT_EQ(file.epoch, 7);
    EXPECT_EQ(network.n_fft, 32);
    EXPECT_EQ(network.upsample_rates, (std::vector<std::int64_t>{10, 10, 2, 2}));
    EXPECT_EQ(build_synthesizer(file)->config(), network);
  }
}

TEST(GoldenVoiceFile, SaysWhatIsWrongWithDamagedVoices) {
  const auto topic = golden_folder("rvc/files");
  if (!fs::exists(topic)) GTEST_SKIP();
  EXPECT_EQ(voice_refusal(topic / "bad_no_config.pth"),
            "it has no 'config', without which a voice model says nothing of its rates");
  EXPECT_EQ(voice_refusal(topic / "bad_nan.pth"),
            "'dec.conv_pre.weight' holds NaN: the weights are damaged or training diverged");
  EXPECT_EQ(voice_refusal(topic / "bad_missing_key.pth"),
            "its tensors are not those of its configuration: 1 tensor is missing ('dec.conv_pre.weight')");
  EXPECT_EQ(voice_refusal(topic / "bad_shape.pth"),
            "its tensors are not those of its configuration: 'enc_p.proj.weight' is [9,4,1] in the file but [8,4,1] in "
            "the model");
  EXPECT_EQ(voice_refusal(topic / "D_train_applio_nostate.pth"),
            "it holds no RVC voice: it is a discriminator (D file); the generator (G file) is expected");
}

TEST(GoldenVoiceFile, WritesWhatItReads) {
  const auto path = golden_folder("rvc/files") / "voice_applio.pth";
  if (!fs::exists(path)) GTEST_SKIP();
  const auto file = read_rvc_voice(path);
  const TemporaryFolder folder;
  write_pth(folder / "again.pth", rvc_tool_voice(file, tensors_of(file), "tiny", "2026-11-21T00:00:00"));
  const auto again = read_rvc_voice(folder / "again.pth");
  EXPECT_EQ(again.config, file.config);
  EXPECT_EQ(again.layout, "applio");
  for (const auto& [name, tensor] : file.weights) EXPECT_TRUE(at::equal(tensor, again.weights.at(name))) << name;
  const auto contents = nlohmann::json::parse(again.contents);
  EXPECT_EQ(contents["config"], nlohmann::json::parse(file.contents)["config"]);
  EXPECT_EQ(contents["version"], "v2");
  EXPECT_EQ(contents["epoch"], 7);
  EXPECT_EQ(contents["sr"], 40000);
  EXPECT_EQ(contents["f0"], 1);
}

// A voice of one of Applio's configurations with random weights.
ModelFile applio_voice(std::string_view vocoder) {
  RvcVoiceConfig voice;
  voice.network = rvc_v2_32k();
  voice.network.vocoder = vocoder;
  voice.network.inter_channels = voice.network.hidden_channels = 8;
  voice.network.filter_channels = 12;
  voice.network.n_layers = 1;
  voice.network.speakers = 2;
  if (vocoder != "refinegan") {  // which Applio has in one width only
    voice.network.upsample_initial_channels = 64;
    voice.network.speaker_channels = 4;
  }
  Synthesizer network(voice.network, {.posterior = false});
  auto generator = at::detail::createCPUGenerator(3);
  network.initialise(generator);
  ModelFile file;
  file.family = "rvc";
  file.config = to_canonical_json(voice);
  file.weights = network.state_dict();
  return file;
}

TEST(VoiceFile, EveryVocoderIsWrittenAndReadAsApplioNamesIt) {
  const TemporaryFolder folder;
  for (const auto& vocoder : kRvcVocoders) {
    SCOPED_TRACE(vocoder.name);
    const auto file = applio_voice(vocoder.name);
    auto contents = rvc_tool_voice(file, tensors_of(file), "x", "2026-11-21T00:00:00");
    EXPECT_EQ(*contents.find("vocoder")->text(), vocoder.tool_name);
    write_pth(folder / "own.pth", contents);
    EXPECT_EQ(read_rvc_voice(folder / "own.pth").config, file.config);
    contents.dict()->items.pop_back();  // our own key, which Applio's files lack
    write_pth(folder / "tool.pth", contents);
    const auto read = read_rvc_voice(folder / "tool.pth");
    EXPECT_EQ(rvc_voice_config(read).network.vocoder, vocoder.name);
    EXPECT_EQ(build_synthesizer(read)->config().upsample_rates, rvc_v2_32k().upsample_rates);
  }
}

TEST(VoiceFile, AnUnknownVocoderIsNamed) {
  const TemporaryFolder folder;
  const auto file = applio_voice("mrf");
  auto contents = rvc_tool_voice(file, tensors_of(file), "x", "2026-11-21T00:00:00");
  contents.dict()->items.pop_back();
  contents.dict()->set("vocoder", "RingFormer");
  write_pth(folder / "ring.pth", contents);
  EXPECT_EQ(voice_refusal(folder / "ring.pth"),
            "its vocoder is 'RingFormer'; understood are: HiFi-GAN, MRF HiFi-GAN, RefineGAN");
}

TEST(VoiceFile, VoicesTheToolsCannotRunAreNotWrittenForThem) {
  RvcConfig config;
  config.content_channels = 40;
  EXPECT_THROW((void)rvc_tool_version(config), Error);
  config = narrow(rvc_v2_32k(), "refinegan");
  EXPECT_EQ(melisma::testing::refusal_of(ErrorKind::usage, [&] { (void)rvc_tool_version(config); }),
            "Applio runs RefineGAN with 512 decoder and 256 speaker channels; this voice has 64 and 4. Extract it with "
            "--format safetensors");
}

}  // namespace
}  // namespace melisma
