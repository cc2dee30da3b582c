#include "data/signal/mel.h"

#include <gtest/gtest.h>

#include "data/signal/cepstrum.h"
#include "data/signal/mel_loss.h"
#include "tests/data/signal/tensors.h"

namespace melisma {
namespace {
using testing::doubles_of;
using testing::golden_folder;
using testing::GoldenFile;
using testing::load_json;
using testing::near_all;
using testing::tensor_of;

struct MelFixture {
  nlohmann::json json;
  GoldenFile tensors;
};

std::optional<MelFixture> load_mel_fixture() {
  if (!testing::golden_files("dsp", "mel", ".safetensors").has_topic) return std::nullopt;
  return MelFixture{load_json(golden_folder("dsp") / "mel.json"),
                    GoldenFile::load(golden_folder("dsp") / "mel.safetensors")};
}

TEST(GoldenMel, MatchesTheScales) {
  const auto fixture = load_mel_fixture();
  if (!fixture) GTEST_SKIP() << "no fixtures";
  const auto& scale = fixture->json["mel_scale"];
  for (std::size_t i = 0; i < scale["hz"].size(); ++i) {
    const double hz = scale["hz"][i];
    EXPECT_NEAR(hz_to_mel(hz, false), scale["slaney"][i], 1e-10);
    EXPECT_NEAR(hz_to_mel(hz, true), scale["htk"][i], 1e-10);
    EXPECT_NEAR(mel_to_hz(hz_to_mel(hz, false), false), hz, 1e-9);
    EXPECT_NEAR(mel_to_hz(hz_to_mel(hz, true), true), hz, 1e-9);
  }
}

TEST(GoldenMel, MatchesLibrosaBanks) {
  const auto fixture = load_mel_fixture();
  if (!fixture) GTEST_SKIP() << "no fixtures";
  for (const auto& bank : fixture->json["filterbanks"]) {
    const auto name = bank["name"].get<std::string>();
    SCOPED_TRACE(name);
    const auto got = mel_filterbank({.sample_rate_hz = bank["sr"],
                                     .n_fft = bank["n_fft"],
                                     .n_mels = bank["n_mels"],
                                     .fmin = bank["fmin"],
                                     .fmax = bank["fmax"],
                                     .htk = bank["htk"],
                                     .slaney_norm = !bank["norm"].is_null()},
                                    at::kDouble);
    const auto &ptr = fixture->tensors.at(name + ".ptr").values, &col = fixture->tensors.at(name + ".col").values,
               &val = fixture->tensors.at(name + ".val").values;
    auto expected = at::zeros_like(got);
    for (std::size_t row = 0; row + 1 < ptr.size(); ++row) {
      for (auto k = static_cast<std::size_t>(ptr[row]); k < static_cast<std::size_t>(ptr[row + 1]); ++k) {
        expected[static_cast<std::int64_t>(row)][static_cast<std::int64_t>(col[k])] = val[k];
      }
    }
    EXPECT_TRUE(near_all(doubles_of(expected), doubles_of(got), 1e-9));
  }
}

TEST(GoldenMel, MatchesSpectraDecibelsAndCepstra) {
  const auto fixture = load_mel_fixture();
  if (!fixture) GTEST_SKIP() << "no fixtures";
  const auto& golden = fixture->tensors;
  EXPECT_TRUE(testing::recipe_matches_check(testing::render_recipe(fixture->json["signal"]), fixture->json["check"]));
  const auto wave = tensor_of(golden.at("x"));
  const auto is_near = [&](const std::string& name, const at::Tensor& got, double tolerance) {
    const auto& expected = golden.at(name);
    ASSERT_EQ(got.sizes(), at::IntArrayRef(expected.shape)) << name;
    EXPECT_TRUE(near_all(expected.values, doubles_of(got), tolerance)) << name;
  };
  const auto peak_of = [&](const std::string& name) { return tensor_of(golden.at(name)).max().item<double>(); };

  const StftConfig zeros{.n_fft = 2048, .hop = 512, .window = 2048, .padding = Padding::centre_zeros};
  const auto librosa = to_mel(power(stft(wave, zeros)), {});
  is_near("librosa.mel_power", librosa, 1e-5 * peak_of("librosa.mel_power"));
  is_near("librosa.mel_db_refmax_top80", power_to_db(librosa, std::nullopt), 1e-3);
  const auto mfcc20 = mfcc(power_to_db(librosa), 20);
  is_near("librosa.mfcc20", mfcc20, 2e-3);
  is_near("librosa.delta9", delta(mfcc20, 9, 1), 2e-3);
  is_near("librosa.delta9_order2", delta(mfcc20, 9, 2), 2e-3);
  const StftConfig short_zeros{.n_fft = 1024, .hop = 256, .window = 1024, .padding = Padding::centre_zeros};
  const auto htk = to_mel(power(stft(wave, short_zeros)), {.n_fft = 1024, .n_mels = 40, .htk = true});
  is_near("librosa.mfcc13_htk_lifter22", mfcc(power_to_db(htk), 13, 22), 2e-3);

  const StftConfig mirrored{.n_fft = 1024, .hop = 256, .window = 1024, .padding = Padding::centre_reflect};
  const auto torchaudio =
      to_mel(power(stft(wave, mirrored)), {.n_fft = 1024, .n_mels = 80, .htk = true, .slaney_norm = false});
  is_near("torchaudio.mel_power", torchaudio, 1e-5 * peak_of("torchaudio.mel_power"));
  is_near("torchaudio.mel_db_top80", power_to_db(torchaudio), 1e-3);
  is_near("torchaudio.mfcc20", mfcc(power_to_db(torchaudio), 20), 2e-3);
  const VocoderMelConfig vocoder{.sample_rate_hz = 22050, .n_fft = 1024, .hop = 256, .window = 1024, .n_mels = 80};
  is_near("vocoder.log_mel", log_mel(wave.unsqueeze(0), vocoder)[0], 1e-4);
}

struct RvcSpecFixture {
  GoldenFile golden;
  VocoderMelConfig config;
};

RvcSpecFixture load_spec(const std::filesystem::path& file) {
  auto golden = GoldenFile::load(file);
  const auto number = [&](const char* key) { return std::stoll(golden.metadata.at(key)); };
  const VocoderMelConfig config{.sample_rate_hz = number("sr"),
                                .n_fft = number("n_fft"),
                                .hop = number("hop"),
                                .window = number("n_fft"),
                                .n_mels = number("n_mels")};
  return {std::move(golden), config};
}

at::Tensor wave_of(const GoldenFile& golden, const std::string& name) {
  return (tensor_of(golden.at(name)) / 32768).to(at::kFloat);
}

TEST(GoldenRvcSpec, SpectrogramMelAndBank) {
  const auto found = testing::golden_files("rvc", "spec_", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    SCOPED_TRACE(file.filename().string());
    const auto [golden, config] = load_spec(file);
    const auto wave = wave_of(golden, "in.y");
    const auto spec = linear_spectrogram(wave, config);
    ASSERT_EQ(spec.sizes(), at::IntArrayRef(golden.at("spec").shape));
    EXPECT_TRUE(near_all(golden.at("spec").values, doubles_of(spec), 1e-4));
    EXPECT_TRUE(near_all(golden.at("mel").values, doubles_of(log_mel_from_linear(spec, config)), 3e-3));
    const auto cut = wave.slice(1, 3 * config.hop, 9 * config.hop);
    EXPECT_TRUE(near_all(golden.at("mel_of_wave_frames_3_9").values, doubles_of(log_mel(cut, config)), 3e-3));
    EXPECT_TRUE(near_all(golden.at("mel_frames_3_9_of_clip").values,
                         doubles_of(log_mel_from_linear(spec.slice(2, 3, 9), config)), 3e-3));
    auto bank = at::zeros({config.n_mels, config.n_fft / 2 + 1}, at::kDouble);
    const auto values = tensor_of(golden.at("fb.values"));
    std::int64_t used = 0;
    for (std::int64_t m = 0; m < config.n_mels; ++m) {
      const auto first = static_cast<std::int64_t>(golden.at("fb.start").values[static_cast<std::size_t>(m)]);
      const auto count = static_cast<std::int64_t>(golden.at("fb.len").values[static_cast<std::size_t>(m)]);
      bank[m].slice(0, first, first + count).copy_(values.slice(0, used, used + count));
      used += count;
    }
    const auto ours = mel_filterbank(
        {.sample_rate_hz = config.sample_rate_hz, .n_fft = config.n_fft, .n_mels = config.n_mels}, at::kFloat);
    EXPECT_TRUE(near_all(doubles_of(bank), doubles_of(ours), 1e-8));
  }
}

TEST(GoldenRvcSpec, MelLossesAndTheirGradients) {
  const auto found = testing::golden_files("rvc", "spec_", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    SCOPED_TRACE(file.filename().string());
    const auto [golden, config] = load_spec(file);
    const auto target = wave_of(golden, "in.y");
    const auto check = [&, &golden = golden](const char* loss_name, const char* gradient_name, double tolerance,
                                             auto loss_of) {
      for (const auto type : {at::kFloat, at::kDouble}) {
        const auto wave = wave_of(golden, "in.y_hat").to(type).set_requires_grad(true);
        const at::Tensor loss = loss_of(wave, target.to(type));
        const auto expected = golden.at(loss_name).values[0];
        EXPECT_NEAR(loss.item<double>(), expected, 1e-5 * expected) << loss_name;
        loss.backward();
        EXPECT_TRUE(near_all(golden.at(gradient_name).values, doubles_of(wave.grad()),
                             type == at::kFloat ? 2 * tolerance : tolerance))
            << gradient_name << " as " << type;
      }
    };
    check("mel_loss_x45", "grad.y_hat", 1e-4, [&, &config = config](const at::Tensor& wave, const at::Tensor& like) {
      return 45 * mel_loss(wave, like, config);
    });
    // The recorded gradient is itself up to 3.0e-4 from the one in double (48 kHz, the last 90 samples: a bin so quiet
    // that its angle is rounding); so may ours be in single precision, as the processor's FFT kernels decide.
    check("multiscale.loss_x15", "multiscale.grad.y_hat", 3.1e-4,
          [&, &config = config](const at::Tensor& wave, const at::Tensor& like) {
            return 15 * multiscale_mel_loss(wave, like, config.sample_rate_hz);
          });
  }
}

TEST(Mel, BanksOfDifferentParametersAreNeverMixedUp) {
  const MelConfig base{.sample_rate_hz = 32000, .n_fft = 1024, .n_mels = 80};
  const auto bank = mel_filterbank(base, at::kFloat);
  auto other = base;
  other.sample_rate_hz = 40000;
  EXPECT_FALSE(at::equal(bank, mel_filterbank(other, at::kFloat)));
  other = base;
  other.n_mels = 125;
  EXPECT_EQ(mel_filterbank(other, at::kFloat).size(0), 125);
  EXPECT_EQ(mel_filterbank(base, at::kDouble).scalar_type(), at::kDouble);
  EXPECT_EQ(mel_filterbank(base, at::kFloat).data_ptr(), bank.data_ptr());
}

TEST(Delta, OfARampIsItsSlopeEverywhere) {
  const auto ramp = at::arange(20, at::kDouble) * 0.5;
  EXPECT_TRUE(at::allclose(delta(ramp, 9, 1), at::full({20}, 0.5, at::kDouble)));
  EXPECT_TRUE(at::allclose(delta(ramp, 9, 2), at::zeros({20}, at::kDouble), 0, 1e-12));
}

TEST(Delta, ShortSignalsUseANarrowerWindowOrGiveZeros) {
  EXPECT_TRUE(at::allclose(delta(at::arange(4, at::kDouble), 9, 1), at::ones({4}, at::kDouble)));
  EXPECT_TRUE(at::equal(delta(at::ones({2, 1}), 9, 1), at::zeros({2, 1})));
}

}  // namespace
}  // namespace melisma
