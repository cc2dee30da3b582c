// What recordings are asked before they are matched.
#include "infer/match/match_input.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/audio/audio_writer.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
using testing::refusal_of;
using Codes = std::vector<int>;

Waveform quiet(std::int64_t n, std::int64_t n_channels = 2, std::int64_t rate_hz = 44100) {
  testing::Lcg random(1);
  Waveform wave{std::vector<float>(static_cast<std::size_t>(n * n_channels)), n_channels, rate_hz};
  for (auto& sample : wave.samples) sample = static_cast<float>(0.3 * random.next());
  return wave;
}

Waveform with_peaks(std::int64_t n_peaks, float peak) {
  auto wave = quiet(20000);
  for (std::int64_t i = 0; i < n_peaks; ++i) wave.channel(1)[static_cast<std::size_t>(37 * i)] = i % 2 ? peak : -peak;
  return wave;
}

MatchInput taken(const Waveform& wave, MatchRole role, const MatchConfig& config = {}) {
  MatchIntake intake(role, wave.sample_rate_hz, wave.n_channels, config);
  intake.add(wave);
  return intake.finish();
}

Codes codes_of(const MatchInput& input) {
  Codes codes;
  for (const auto* remark : input.remarks) codes.push_back(remark->code);
  return codes;
}

// The label of a fixture's case says how its recording was made.
Waveform wave_of(const nlohmann::json& expected) {
  const std::string label = expected.at("label");
  if (label.find("samples at") != std::string::npos) {
    return with_peaks(std::stoll(label), std::stof(label.substr(label.rfind(' '))));
  }
  return quiet(expected.at("shape_in").at(0), expected.at("shape_in").at(1), expected.at("rate"));
}

TEST(GoldenMatchInput, RemarksAndRefusalsAreMatcherings) {
  const auto [has_topic, files] = testing::golden_files("matching", "front_end", ".json");
  if (!has_topic) GTEST_SKIP() << "no golden/matching";
  for (const auto& file : files) {
    const auto fixture = testing::load_json(file);
    ASSERT_FALSE(fixture.at("codes").empty());
    for (const auto& expected : fixture.at("codes")) {
      const auto scope = ::testing::ScopedTrace(__FILE__, __LINE__, expected.dump());
      const auto role = expected.at("role") == "target" ? MatchRole::target : MatchRole::reference;
      MatchConfig config;
      if (expected.at("label").get<std::string>().find("max_length 1 s") != std::string::npos) config.max_seconds = 1;
      const auto wave = wave_of(expected);
      if (expected.at("error").is_null()) {
        const auto input = taken(wave, role, config);
        EXPECT_EQ(codes_of(input), expected.at("codes").get<Codes>());
        EXPECT_EQ(input.signal.n_frames(), expected.at("shape_out").at(0));
      } else {
        const auto refusal = refusal_of(ErrorKind::data, [&] { (void)taken(wave, role, config); });
        const auto code = expected.at("error").get<std::string>().substr(0, 4);
        EXPECT_NE(refusal.find("(code " + code + ")"), std::string::npos) << refusal;
      }
    }
  }
}

TEST(MatchInput, BlocksOfAnySizeAreTheSame) {
  const auto wave = quiet(30000, 2, 48000);
  const auto whole = taken(wave, MatchRole::reference);
  MatchIntake intake(MatchRole::reference, 48000, 2, {});
  for (std::int64_t first = 0, size = 1; first < 30000; first += size, size = size * 3 + 1) {
    const auto count = std::min<std::int64_t>(size, 30000 - first);
    Waveform block{{}, 2, 48000};
    for (std::int64_t channel = 0; channel < 2; ++channel) {
      const auto part = wave.channel(channel).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
      block.samples.insert(block.samples.end(), part.begin(), part.end());
    }
    intake.add(block);
  }
  const auto parts = intake.finish();
  EXPECT_TRUE(parts.signal.left == whole.signal.left);
  EXPECT_TRUE(parts.signal.right == whole.signal.right);
}

TEST(MatchInput, OneChannelBecomesTwoAndWhatIsNoNumberIsNamed) {
  const auto mono = taken(quiet(5000, 1), MatchRole::target);
  EXPECT_TRUE(mono.signal.left == mono.signal.right);
  auto broken = quiet(5000);
  broken.channel(1)[4321] = NAN;
  EXPECT_EQ(refusal_of(ErrorKind::data, [&] { (void)taken(broken, MatchRole::target); }),
            "sample 4321 of channel 1 is not finite; repair the recording or cut that part out");
}

TEST(MatchInput, ASongIsTheSameWithinRounding) {
  const StereoSignal one{{0.5, -0.25}, {0.1, 0.2}, 44100}, near{{0.5 + 1e-6, -0.25}, {0.1, 0.2}, 44100};
  const StereoSignal other{{0.5 + 1e-4, -0.25}, {0.1, 0.2}, 44100}, longer{{0.5, -0.25, 0}, {0.1, 0.2, 0}, 44100};
  EXPECT_TRUE(are_the_same(one, near));
  EXPECT_FALSE(are_the_same(one, other));
  EXPECT_FALSE(are_the_same(one, longer));
}

TEST(MatchInput, FilesAreReadAndTheirNamesSaid) {
  const testing::TemporaryFolder folder;
  write_audio(folder / "fine.wav", quiet(5000));
  EXPECT_EQ(read_match_input(folder / "fine.wav", MatchRole::target, {}).signal.n_frames(), 5000);
  const auto two_seconds = [&] {
    (void)read_match_input(folder / "fine.wav", MatchRole::reference, {.max_seconds = 0.1});
  };
  EXPECT_EQ(refusal_of(ErrorKind::data, two_seconds),
            "113 ms long, expected 100 ms at most; match a part of it, or raise matching.max_seconds (code 4102)");
  EXPECT_NE(refusal_of(ErrorKind::data, [&] { (void)read_match_input(folder / "none.wav", MatchRole::target, {}); }),
            "no error");
}

}  // namespace
}  // namespace melisma
