#include "infer/convert/voice.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/rvc/voice_model.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

// A voice of a few thousand weights with the shape of a real one.
ModelFile small_voice(std::string_view vocoder = "hifigan") {
  RvcVoiceConfig config;
  config.network = rvc_v2_32k();
  config.network.vocoder = vocoder;
  config.network.inter_channels = config.network.hidden_channels = 16;
  config.network.filter_channels = 32;
  config.network.n_layers = 2;
  config.network.speaker_channels = 8;
  config.network.speakers = 2;
  config.network.upsample_initial_channels = vocoder == "refinegan" ? 32 : 16;
  config.network.content_channels = content_width(ContentConfig{});
  config.content_parameters = key_of(ContentConfig{}).parameters;
  config.pitch_parameters = key_of(PitchConfig{}).parameters;
  config.speaker_names = {"mara", "joel"};
  ModelFile file;
  file.family = "rvc";
  file.config = to_canonical_json(config);
  file.sample_rate_hz = 32000;
  Synthesizer network(config.network, {.posterior = false});
  auto generator = at::detail::createCPUGenerator(5);
  network.initialise(generator);
  file.weights = network.state_dict();
  for (auto& [name, tensor] : file.weights) {  // learned noise that can be heard
    if (tensor.dim() == 1 && name.ends_with(".weight")) tensor.fill_(0.1);
  }
  return file;
}

struct Input {
  FeatureMatrix content;
  std::vector<float> f0;
};

// Content that moves and a pitch with gaps.
Input moving_input(std::int64_t frames) {
  Input input;
  input.content.n_frames = frames;
  input.content.width = content_width(ContentConfig{});
  for (std::int64_t t = 0; t < frames; ++t) {
    for (std::int64_t c = 0; c < input.content.width; ++c) {
      input.content.values.push_back(static_cast<float>(std::sin(0.05 * static_cast<double>(t * (c + 1)))));
    }
    input.f0.push_back(t % 100 < 80 ? 150.0f + 0.5f * static_cast<float>(t % 70) : 0.0f);
  }
  return input;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return largest;
}

double rms(const std::vector<float>& x) {
  double sum = 0;
  for (const float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

TEST(Voice, ChunksGiveTheSameAudioAsTheWholeWithEveryVocoder) {
  for (const auto& vocoder : kRvcVocoders) {
    const auto voice = Voice::load(small_voice(vocoder.name));
    const auto input = moving_input(420);
    const auto whole = voice.synthesize(input.content, input.f0, 0, {.noise_seed = 3, .chunk_frames = 100000});
    ASSERT_EQ(whole.size(), 420u * 320u);
    EXPECT_GT(rms(whole), 1e-4) << vocoder.name;
    for (const std::int64_t chunk : {50, 173}) {
      const auto pieces = voice.synthesize(input.content, input.f0, 0, {.noise_seed = 3, .chunk_frames = chunk});
      EXPECT_LT(largest_difference(whole, pieces), 1e-5) << vocoder.name << " " << chunk;
    }
    const auto quiet = voice.synthesize(input.content, input.f0, 0, {.noise_seed = 3, .source_noise = false});
    EXPECT_GT(largest_difference(whole, quiet), 1e-4) << vocoder.name;
  }
}

TEST(Voice, OneWindowEqualsTheNetworkItselfWithEveryVocoder) {
  const c10::NoGradGuard no_grad;
  for (const auto& vocoder : kRvcVocoders) {
    const auto file = small_voice(vocoder.name);
    const auto voice = Voice::load(file);
    const auto network = build_synthesizer(file);
    auto input = moving_input(100);
    const auto bins = coarse_pitch(input.f0);
    const RvcInput direct{.content = at::tensor(input.content.values).view({1, 100, input.content.width}),
                          .lengths = at::full({1}, 100, at::kLong),
                          .coarse_pitch = at::tensor(bins).view({1, 100}),
                          .f0_hz = at::tensor(input.f0).view({1, 100}),
                          .speaker = at::ones({1}, at::kLong)};
    const auto expected = network->infer(direct, {}, {}, 0).wave.view({-1}).contiguous();
    const auto got = voice.synthesize(input.content, input.f0, 1, {.noise_scale = 0, .source_noise = false});
    const std::vector<float> wanted(expected.const_data_ptr<float>(),
                                    expected.const_data_ptr<float>() + expected.numel());
    EXPECT_LT(largest_difference(wanted, got), 1e-5) << vocoder.name;
  }
}

TEST(Voice, LongInputIsCoveredByFadedWindows) {
  const auto voice = Voice::load(small_voice());
  const auto input = moving_input(3010);
  const auto samples = voice.synthesize(input.content, input.f0, 0, {});
  ASSERT_EQ(samples.size(), 3010u * 320u);
  for (const float sample : samples) ASSERT_TRUE(std::isfinite(sample));
}

TEST(Voice, TheSameSeedGivesTheSameAudioAndAnotherSeedDoesNot) {
  const auto voice = Voice::load(small_voice());
  const auto input = moving_input(60);
  const auto first = voice.synthesize(input.content, input.f0, 0, {.noise_seed = 3});
  EXPECT_EQ(first, voice.synthesize(input.content, input.f0, 0, {.noise_seed = 3}));
  EXPECT_NE(first, voice.synthesize(input.content, input.f0, 0, {.noise_seed = 4}));
}

// Everything that a mix of speakers says.
std::vector<float> mixed(const Voice& voice, const Input& input, const SpeakerMix& mix) {
  std::vector<float> samples;
  voice.synthesize(input.content, input.f0, mix, {},
                   [&](std::span<const float> piece) { samples.insert(samples.end(), piece.begin(), piece.end()); });
  return samples;
}

TEST(Voice, AMixOfOneSpeakerIsThatSpeakerAndOfTwoIsInBetween) {
  const auto voice = Voice::load(small_voice());
  const auto input = moving_input(60);
  const auto mara = voice.synthesize(input.content, input.f0, 0, {});
  const auto joel = voice.synthesize(input.content, input.f0, 1, {});
  ASSERT_NE(mara, joel);
  EXPECT_EQ(mixed(voice, input, {{0, 1}}), mara);
  EXPECT_EQ(mixed(voice, input, {{1, 1}}), joel);
  EXPECT_LT(largest_difference(mixed(voice, input, {{0, 0.25}, {0, 0.75}}), mara), 1e-5);
  const auto half = mixed(voice, input, {{0, 0.5}, {1, 0.5}});
  EXPECT_LT(largest_difference(half, mixed(voice, input, {{1, 0.5}, {0, 0.5}})), 1e-6);
  EXPECT_LT(largest_difference(half, mara), largest_difference(joel, mara));
  EXPECT_LT(largest_difference(half, joel), largest_difference(joel, mara));
  EXPECT_GT(largest_difference(half, mara), 1e-6);
  EXPECT_THROW((void)mixed(voice, input, {{0, 0.5}, {2, 0.5}}), Error);
}

TEST(Voice, NoFramesGiveNoAudio) {
  const auto voice = Voice::load(small_voice());
  EXPECT_TRUE(voice.synthesize(moving_input(0).content, {}, 0, {}).empty());
}

TEST(Voice, UntrainedWeightsFollowTheSeed) {
  const auto file = small_voice();
  const auto input = moving_input(40);
  const auto speak = [&](std::uint64_t seed) {
    return Voice::untrained(file, seed).synthesize(input.content, input.f0, 0, {});
  };
  EXPECT_EQ(speak(1), speak(1));
  EXPECT_NE(speak(1), speak(2));
}

// What a voice of the RVC tools says of its features: nothing but how many columns it takes.
ModelFile foreign_voice(std::int64_t content_channels) {
  auto config = rvc_voice_config(small_voice());
  config.network.content_channels = content_channels;
  config.content_parameters.clear();
  ModelFile file = small_voice();
  file.config = to_canonical_json(config);
  Synthesizer network(config.network, {.posterior = false});
  file.weights = network.state_dict();
  return file;
}

TEST(Voice, OfTheRvcToolsIsFedWithTheHubertOutputOfItsWidth) {
  EXPECT_EQ(Voice::load(foreign_voice(768)).content().method, "hubert");
  EXPECT_EQ(Voice::load(foreign_voice(768)).content().hubert.output, "v2");
  const auto v1 = Voice::load(foreign_voice(256));
  EXPECT_EQ(v1.content().hubert.output, "v1");
  try {
    (void)extract_content(std::vector<float>(16000), v1.content());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::config);
    EXPECT_NE(error.message().find("such as ContentVec"), std::string::npos) << error.message();
  }
  EXPECT_THROW((void)Voice::load(foreign_voice(100)), Error);
}

TEST(Voice, SaysWhatDoesNotFit) {
  auto file = small_voice();
  const auto voice = Voice::load(file);
  const auto input = moving_input(10);
  EXPECT_THROW((void)voice.synthesize(input.content, input.f0, 7, {}), Error);
  file.weights.erase("enc_p.proj.bias");
  try {
    (void)Voice::load(file);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::checkpoint);
    EXPECT_NE(error.message().find("enc_p.proj.bias"), std::string::npos) << error.message();
  }
}

}  // namespace
}  // namespace melisma
