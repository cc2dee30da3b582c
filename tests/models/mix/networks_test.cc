// Mixing networks against automix-toolkit's numbers, and what the console's models promise about tracks.
#include <algorithm>
#include <limits>

#include "data/signal/stft.h"
#include "models/mix/dmc.h"
#include "models/mix/mix_model.h"
#include "models/mix/wave_unet.h"
#include "tests/models/mix/mix_golden.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {

// The tensors of a fixture whose names begin with `prefix`, in the order of the module's own state dict; what only
// training counts is zero where the fixture leaves it out.
StateDict weights_of(const Module& module, const testing::GoldenFile& golden, const std::string& prefix) {
  StateDict found;
  for (const auto& [name, tensor] : module.state_dict()) {
    if (golden.has(prefix + name)) {
      found.add(name, testing::tensor_of(golden.at(prefix + name)).view(tensor.sizes()).to(tensor.scalar_type()));
    } else {
      EXPECT_TRUE(name.ends_with("num_batches_tracked")) << name;
      found.add(name, at::zeros_like(tensor));
    }
  }
  return found;
}

MixModelConfig tiny(const std::string& family) {
  MixModelConfig config;
  config.family = family;
  config.channels = 4;
  config.blocks = 2;
  config.mel = {.n_fft = 512, .hop = 256, .n_mels = 16};
  config.transformer = {.width = 16, .layers = 2, .heads = 2};
  config.wave_unet = {.tracks = 3, .levels = 3, .growth = 4, .kernel = 5};
  return config;
}

std::unique_ptr<MixModel> drawn(const MixModelConfig& config) {
  auto model = make_mix_model(config);
  auto generator = at::detail::createCPUGenerator(11);
  model->initialise(generator);
  // Heads begin small, so that everything is neutral: here they are to tell tracks apart.
  const c10::NoGradGuard no_grad;
  for (const auto& [name, tensor] : model->parameters()) {
    if (name.ends_with("head.out.weight")) tensor.mul_(30);
  }
  return model;
}

at::Tensor waves(std::uint32_t seed, at::IntArrayRef shape) {
  return (testing::lcg_values(seed, shape) * .3).to(at::kFloat);
}

double difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

// The fixture does not say from where in the wave its slice is: it is found by its first sample and checked as a whole.
void expect_somewhere(const std::vector<double>& slice, const at::Tensor& wave) {
  const auto all = testing::values_of(wave);
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t first = 0; first + slice.size() <= all.size(); ++first) {
    double worst = 0;
    for (std::size_t i = 0; i < slice.size() && worst < best; ++i) {
      worst = std::max(worst, std::abs(all[first + i] - slice[i]));
    }
    best = std::min(best, worst);
  }
  EXPECT_LT(best, 1e-5);
}

std::vector<MixModelConfig> console_models() {
  std::vector<MixModelConfig> all{tiny("transformer")};
  for (const auto body : kMixCnnBodies) {
    all.push_back(tiny("cnn"));
    all.back().cnn.body = body;
  }
  all[0].reverb = all[1].reverb = true;
  return all;
}

}  // namespace

TEST(GoldenMixNetworks, WaveUnetIsThatOfAutomixToolkit) {
  for (auto file : testing::golden_files("mixing", "mix_wave_unet", ".json").files) {
    const auto fixture = testing::load_json(file);
    const auto golden = testing::GoldenFile::load(file.replace_extension(".safetensors"));
    const auto& sizes = fixture.at("config");
    MixWaveUnet network({.tracks = sizes.at("ninputs"),
                         .levels = sizes.at("layers"),
                         .growth = sizes.at("ch_growth"),
                         .kernel = sizes.at("ds_kernel"),
                         .output_kernel = sizes.at("out_kernel")});
    network.to(at::kDouble);
    network.load(weights_of(network, golden, "weight."));
    const auto x = testing::tensor_of(golden.at("x"));
    EXPECT_TRUE(testing::near_all(golden.at("y_eval").values, testing::values_of(network(x)), 1e-5));
    at::Tensor y;
    {
      const TrainingScope training(at::detail::createCPUGenerator(1));
      y = network(x);
    }
    EXPECT_TRUE(testing::near_all(golden.at("y_train").values, testing::values_of(y), 1e-5));
    const auto loss = (y * testing::lcg_values(814, y.sizes())).sum();
    EXPECT_NEAR(loss.item<double>(), fixture.at("loss_value").get<double>(), 1e-4);
    int n_gradients = 0, n_statistics = 0;
    for (const auto& [name, tensor] : network.parameters()) {
      if (!golden.has("grad." + name)) continue;
      const auto& expected = golden.at("grad." + name).values;
      double largest = 0;
      for (const double g : expected) largest = std::max(largest, std::abs(g));
      const auto got = testing::values_of(torch::autograd::grad({loss}, {tensor}, {}, true)[0]);
      EXPECT_TRUE(testing::near_all(expected, got, 1e-5 * largest, 1e-5)) << name;
      ++n_gradients;
    }
    for (const auto& [name, tensor] : network.buffers()) {
      if (!golden.has("running." + name)) continue;
      EXPECT_TRUE(testing::near_all(golden.at("running." + name).values, testing::values_of(tensor), 1e-5)) << name;
      ++n_statistics;
    }
    EXPECT_GT(n_gradients, 0);
    EXPECT_GT(n_statistics, 0);
    EXPECT_EQ(MixWaveUnet(MixWaveUnetConfig{}).n_parameters(),
              fixture.at("default_parameter_count").get<std::int64_t>());
  }
}

TEST(GoldenMixNetworks, DmcIsThatOfAutomixToolkit) {
  for (auto file : testing::golden_files("mixing", "dmc", ".json").files) {
    const auto fixture = testing::load_json(file);
    const auto golden = testing::GoldenFile::load(file.replace_extension(".safetensors"));
    std::vector<at::Tensor> rendered;
    for (const auto& recipe : fixture.at("tracks")) rendered.push_back(testing::rendered(recipe)[0]);
    const auto tracks = at::stack(rendered).unsqueeze(0);
    const auto& config = fixture.at("config");
    const auto channels = config.at("n_channels").get<std::int64_t>();
    Dmc model(44100, channels, config.at("n_class"));
    model.to(at::kDouble);
    model.load(weights_of(model, golden, golden.has("weight.encoder.spec_bn.weight") ? "weight." : ""));
    const auto slice = [](const at::Tensor& wave, std::int64_t first, std::int64_t n) {
      return testing::values_of(wave.narrow(-1, first, n));
    };
    const auto first = fixture.at("slice_start").get<std::int64_t>();
    DmcEncoder encoder(44100, channels);
    const auto mel = encoder.mel_db(tracks[0].narrow(0, 0, 1))[0].slice(1, 0, std::numeric_limits<int64_t>::max(), 4);
    const auto& expected_mel = golden.at("mel_db_track0");
    EXPECT_TRUE(
        testing::near_all(expected_mel.values, testing::values_of(mel.narrow(1, 0, expected_mel.shape[1])), 1e-3));
    const auto& expected_embedding = golden.at("embedding").values;
    double largest = 0;
    for (const double value : expected_embedding) largest = std::max(largest, std::abs(value));
    EXPECT_TRUE(testing::near_all(expected_embedding, testing::values_of(model.embed(tracks)), 1e-4 * largest));
    expect_somewhere(golden.at("resampled_track0_slice").values,
                     sinc_resampled(tracks[0].narrow(0, 0, 1), 44100, 16000)[0]);
    const auto expect_parameters = [&](const char* name, const at::Tensor& got) {
      const auto expected = testing::tensor_of(golden.at(name));
      EXPECT_LT(difference(got[0].select(1, 0), expected.select(1, 0)), .01) << name;
      EXPECT_LT(difference(got[0].select(1, 1), expected.select(1, 1)), 1e-4) << name;
    };
    expect_parameters("parameters", model.gains_and_pans({.tracks = tracks}));
    const auto present = at::tensor({1, 0, 1}, at::kLong).to(at::kBool).unsqueeze(0);
    expect_parameters("parameters_masked", model.gains_and_pans({.tracks = tracks, .present = present}));
    const auto mix = model.mix({.tracks = tracks}).wave;
    EXPECT_TRUE(testing::near_all(golden.at("mix_slice").values, slice(mix, first, 512), 1e-3));
    EXPECT_NEAR(mix.square().sum().item<double>(), fixture.at("mix_sumsq").get<double>(), .5);
    const auto& blocks = fixture.at("block");
    const auto in_blocks = model.mix_in_blocks(tracks, blocks.at("block"), blocks.at("hop"));
    EXPECT_TRUE(testing::near_all(golden.at("block_mix_slice").values, slice(in_blocks, first, 512), 1e-3));
    const auto& counts = fixture.at("default_parameter_counts");
    EXPECT_EQ(DmcEncoder(44100, 128).n_parameters(), counts.at("encoder").get<std::int64_t>());
    EXPECT_EQ(DmcHead(1024, 2).n_parameters(), counts.at("post_processor").get<std::int64_t>());
    EXPECT_EQ(sinc_resampled(tracks[0], 44100, 16000).size(1), (65536 * 160 + 440) / 441);
  }
}

TEST(MixNetworks, ParametersFollowTheirTracksWhateverTheOrder) {
  const auto tracks = waves(3, {2, 4, 6000}), reference = waves(4, {2, 2, 7000});
  const auto order = at::tensor({2, 0, 3, 1}, at::kLong);
  for (const auto& config : console_models()) {
    SCOPED_TRACE(config.family + " " + config.cnn.body);
    const auto model = drawn(config);
    for (const auto& song : {at::Tensor(), reference}) {
      const auto straight = model->predict({.tracks = tracks, .reference = song});
      const auto turned = model->predict({.tracks = tracks.index_select(1, order), .reference = song});
      EXPECT_LT(difference(straight.tracks.index_select(1, order), turned.tracks), 1e-5);
      EXPECT_LT(difference(straight.master, turned.master), 1e-5);
      EXPECT_GT(difference(straight.tracks.select(1, 0), straight.tracks.select(1, 1)), 1e-4);
    }
  }
}

TEST(MixNetworks, TracksThatAreAbsentChangeNothing) {
  const auto tracks = waves(5, {2, 3, 6000});
  const auto padded = at::cat({tracks, waves(6, {2, 2, 6000})}, 1);
  const auto present = at::tensor({1, 1, 1, 0, 0}, at::kLong).to(at::kBool).expand({2, 5}).contiguous();
  for (const auto& config : console_models()) {
    SCOPED_TRACE(config.family + " " + config.cnn.body);
    const auto model = drawn(config);
    const auto alone = model->mix({.tracks = tracks}), beside = model->mix({.tracks = padded, .present = present});
    EXPECT_LT(difference(alone.controls.tracks, beside.controls.tracks.narrow(1, 0, 3)), 1e-5);
    EXPECT_LT(difference(alone.wave, beside.wave), 1e-3 * alone.wave.abs().max().item<double>());
  }
}

TEST(MixNetworks, AReferenceIsHeardWhereTheModelListens) {
  const auto tracks = waves(7, {1, 3, 6000}), reference = waves(8, {1, 2, 6000});
  auto config = tiny("transformer");
  auto model = drawn(config);
  const auto without = model->predict({.tracks = tracks}).tracks;
  EXPECT_GT(difference(without, model->predict({.tracks = tracks, .reference = reference}).tracks), 1e-5);
  config.transformer.reference = false;
  model = drawn(config);
  EXPECT_EQ(difference(model->predict({.tracks = tracks}).tracks,
                       model->predict({.tracks = tracks, .reference = reference}).tracks),
            0);
}

TEST(MixNetworks, AnUntrainedConsoleIsNearlyNeutral) {
  auto model = make_mix_model(tiny("transformer"));
  auto generator = at::detail::createCPUGenerator(1);
  model->initialise(generator);
  const auto controls = model->predict({.tracks = waves(9, {1, 2, 6000})});
  const auto values = console_values(controls.tracks, kTrackParameters, 44100);
  EXPECT_LT(values.select(-1, 0).abs().max().item<double>(), 4);  // fader, dB
  EXPECT_LT((values.select(-1, kTrackPan) - .5).abs().max().item<double>(), .1);
  EXPECT_LT(values.select(-1, kTrackCompressor + 1).max().item<double>(), 2);  // ratio
}

TEST(MixNetworks, EveryFamilyDescendsOnOneBatch) {
  const auto tracks = waves(10, {1, 3, 40960}), target = waves(12, {1, 2, 40960});
  for (const auto& row : kMixFamilies) {
    SCOPED_TRACE(row.name);
    EXPECT_FALSE(row.summary.empty());
    auto model = drawn(tiny(std::string(row.name)));
    MixLossWeights weights;
    const MixCriterion judge(weights, {.wave = target, .sample_rate_hz = 44100});
    double first = 0, last = 0;
    for (int step = 0; step < 8; ++step) {
      const auto loss = judge(model->mix({.tracks = tracks})).total;
      (step == 0 ? first : last) = loss.item<double>();
      std::vector<at::Tensor> parameters;
      for (const auto& [name, tensor] : model->parameters()) parameters.push_back(tensor);
      const auto gradients = torch::autograd::grad({loss}, parameters, {}, std::nullopt, false, true);
      const c10::NoGradGuard no_grad;
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        if (gradients[i].defined()) parameters[i].sub_(gradients[i].sign() * 2e-3);
      }
    }
    EXPECT_LT(last, first);
  }
}

TEST(MixNetworks, AFileGivesTheModelBack) {
  const testing::TemporaryFolder folder;
  for (const auto& row : kMixFamilies) {
    SCOPED_TRACE(row.name);
    const auto config = tiny(std::string(row.name));
    const auto model = drawn(config);
    write_safetensors_model(folder / "m.safetensors", mix_model_file(*model, config));
    const auto loaded = load_mix_model(read_model(folder / "m.safetensors"));
    EXPECT_EQ(loaded.config, config);
    const auto tracks = waves(13, {1, 3, 40960});
    EXPECT_EQ(difference(model->mix({.tracks = tracks}).wave, loaded.model->mix({.tracks = tracks}).wave), 0);
  }
}

TEST(MixNetworks, WhatDoesNotFitIsNamed) {
  auto config = tiny("transformer");
  config.transformer.heads = 3;
  const auto heads = testing::refusal_of(ErrorKind::config, [&] { (void)make_mix_model(config); });
  EXPECT_NE(heads.find("transformer.heads"), std::string::npos) << heads;
  ModelFile voice;
  voice.family = "rvc";
  const auto family = testing::refusal_of(ErrorKind::checkpoint, [&] { (void)load_mix_model(voice); });
  EXPECT_NE(family.find("rvc"), std::string::npos) << family;
  const auto unet = make_mix_model(tiny("wave-u-net"));
  const auto many = testing::refusal_of(ErrorKind::data, [&] { (void)unet->mix({.tracks = waves(1, {1, 4, 64})}); });
  EXPECT_NE(many.find("3 tracks, not 4"), std::string::npos) << many;
  const auto odd = testing::refusal_of(ErrorKind::data, [&] { (void)unet->mix({.tracks = waves(1, {1, 3, 63})}); });
  EXPECT_NE(odd.find("multiples of 8"), std::string::npos) << odd;
}

}  // namespace melisma
