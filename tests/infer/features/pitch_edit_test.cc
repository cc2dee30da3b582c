#include "infer/features/pitch_edit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "infer/features/pitch_curve.h"
#include "infer/features/scale.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::GoldenFile;
using testing::TemporaryFolder;
using Curve = std::vector<float>;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was thrown";
}

// A stretch of n equal frames behind what is there.
Curve& operator<<(Curve& curve, std::pair<int, float> stretch) {
  curve.insert(curve.end(), static_cast<std::size_t>(stretch.first), stretch.second);
  return curve;
}

TEST(GoldenPitchPost, AutotuneIsApplios) {  // but unvoiced frames stay so, and notes go on above C6
  const auto found = testing::golden_files("rvc", "f0_post", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    const auto in = golden.at("autotune.in").floats();
    for (const auto* strength : {"0.5", "1.0"}) {
      const auto tuned = autotune_pitch(in, parse_scale("chromatic"), std::stod(strength));
      const auto& expected = golden.at(std::string("autotune.out.") + strength).values;
      int compared = 0;
      for (std::size_t t = 0; t < in.size(); ++t) {
        if (in[t] == 0) {
          EXPECT_EQ(tuned[t], 0);
        } else if (in[t] >= 49 && in[t] < 1077) {  // Applio's notes are rounded to 0.01 Hz
          EXPECT_NEAR(tuned[t], expected[t], 0.0052) << in[t];
          ++compared;
        }
      }
      EXPECT_GT(compared, 8);
    }
    for (const auto note : golden.at("autotune.notes").values) {
      EXPECT_NEAR(nearest_note_hz(note, parse_scale("chromatic")), note, 0.0052);
    }
  }
}

TEST(GoldenPitchPost, TheProposedShiftIsApplios) {
  const auto found = testing::golden_files("rvc", "f0_post", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    const auto f0 = golden.at("interp.in").floats();
    for (const int voice_hz : {155, 255}) {
      EXPECT_EQ(proposed_semitones(f0, voice_hz),
                golden.at("proposed.up_key." + std::to_string(voice_hz)).values.front());
    }
  }
}

TEST(GoldenPitchPost, MedianSmoothingIsRvcs) {
  const auto found = testing::golden_files("rvc", "f0_classic", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    for (const std::string name : {"glide", "noise", "voice"}) {
      const auto smoothed = median_pitch(golden.at(name + ".harvest_stonemask").floats(), 3);
      EXPECT_TRUE(testing::near_all(golden.at(name + ".harvest_stonemask_med3").values, smoothed, 0, 1e-7)) << name;
    }
  }
}

TEST(PitchScale, ReadsTonicsModesAndNotes) {
  EXPECT_EQ(parse_scale("chromatic").notes, 0xfff);
  EXPECT_EQ(parse_scale("C major"), parse_scale("C,D,E,F,G,A,B"));
  EXPECT_EQ(parse_scale("a minor"), parse_scale("C major"));
  EXPECT_EQ(parse_scale("Eb dorian"), parse_scale("Db major"));
  EXPECT_EQ(parse_scale("F#-minor-pentatonic"), parse_scale("F#, A, B, C#, E"));
  EXPECT_EQ(parse_scale("B locrian"), parse_scale("C major"));
  EXPECT_EQ(parse_scale("Cb major"), parse_scale("B major"));
}

TEST(PitchScale, MistakesNameWhatIsKnown) {
  const auto told = [](const char* text) { return message_of([&] { (void)parse_scale(text); }); };
  EXPECT_TRUE(told("C mayor").starts_with("unknown mode of a scale 'mayor'; did you mean 'major'")) << told("C mayor");
  EXPECT_TRUE(told("H major").starts_with("scale 'H major': 'H' is no note")) << told("H major");
  EXPECT_TRUE(told("major").starts_with("scale 'major' is not known")) << told("major");
  EXPECT_TRUE(told("C,,E").starts_with("scale 'C,,E': '' is no note")) << told("C,,E");
  EXPECT_TRUE(told("").starts_with("scale '' is not known"));
}

TEST(PitchScale, TheNearestNoteIsOfTheScale) {
  const auto c_major = parse_scale("C major"), single = parse_scale("A,A");
  EXPECT_NEAR(nearest_note_hz(440, c_major), 440, 1e-9);
  EXPECT_NEAR(nearest_note_hz(466.16, c_major), 440, 1e-9);  // A sharp: in Hz, A is nearer than B
  EXPECT_NEAR(nearest_note_hz(468, c_major), 493.883, 1e-3);
  for (const double hz : {80.0, 100.0, 800.0}) {
    const auto octaves = std::log2(nearest_note_hz(hz, single) / 440);
    EXPECT_NEAR(octaves, std::round(octaves), 1e-12) << hz;
  }
}

TEST(PitchEdit, AutotunePullsVoicedFramesOnly) {
  const Curve f0{0, 430, 0, 0, 452, 100};
  const auto half = autotune_pitch(f0, parse_scale("A minor-pentatonic"), 0.5);
  EXPECT_EQ(half[0], 0);
  EXPECT_FLOAT_EQ(half[1], 435);
  EXPECT_EQ(half[2], 0);
  EXPECT_FLOAT_EQ(half[4], 446);
  EXPECT_EQ(autotune_pitch(f0, parse_scale("chromatic"), 0), f0);
}

TEST(PitchEdit, MedianDropsSpikesAndClosesSingleGaps) {
  EXPECT_EQ(median_pitch(Curve{100, 101, 300, 102, 103, 0, 104, 105}, 3),
            (Curve{100, 101, 102, 103, 102, 103, 104, 104}));
  EXPECT_EQ(median_pitch(Curve{0, 0, 200, 0, 0}, 3), (Curve{0, 0, 0, 0, 0}));
  EXPECT_EQ(median_pitch(Curve{1, 2, 3}, 1), (Curve{1, 2, 3}));
}

TEST(PitchEdit, OctaveErrorsInsideAVoicedStretchAreMovedBack) {
  Curve f0, expected;
  f0 << std::pair{30, 200.F} << std::pair{12, 400.F} << std::pair{30, 205.F} << std::pair{8, 101.F}
     << std::pair{30, 201.F};
  expected << std::pair{30, 200.F} << std::pair{12, 200.F} << std::pair{30, 205.F} << std::pair{8, 202.F}
           << std::pair{30, 201.F};
  EXPECT_EQ(count_octave_jumps(f0), 4);
  EXPECT_EQ(repair_octaves(f0), expected);
  EXPECT_EQ(count_octave_jumps(expected), 0);
}

TEST(PitchEdit, AShortOctaveErrorWhereVoiceBeginsOrEndsIsMovedBack) {
  Curve f0, expected;
  f0 << std::pair{5, 0.F} << std::pair{6, 300.F} << std::pair{40, 150.F} << std::pair{9, 76.F} << std::pair{20, 0.F};
  expected << std::pair{5, 0.F} << std::pair{6, 150.F} << std::pair{40, 150.F} << std::pair{9, 152.F}
           << std::pair{20, 0.F};
  EXPECT_EQ(repair_octaves(f0), expected);
}

TEST(PitchEdit, WhatIsSungStaysInItsOctave) {
  Curve leap;  // an octave held for half a second is a note
  leap << std::pair{60, 220.F} << std::pair{50, 440.F} << std::pair{60, 220.F};
  EXPECT_EQ(repair_octaves(leap), leap);
  Curve fifths;  // fast ornaments of less than an octave
  for (int i = 0; i < 10; ++i) fifths << std::pair{4, 200.F} << std::pair{4, 300.F};
  EXPECT_EQ(repair_octaves(fifths), fifths);
  Curve phrases;  // another phrase may lie an octave higher, however short
  phrases << std::pair{30, 200.F} << std::pair{10, 0.F} << std::pair{8, 400.F} << std::pair{10, 0.F}
          << std::pair{30, 200.F};
  EXPECT_EQ(repair_octaves(phrases), phrases);
  Curve glide;
  for (int t = 0; t < 200; ++t) glide.push_back(static_cast<float>(100 * std::exp2(t / 50.0)));
  EXPECT_EQ(repair_octaves(glide), glide);
  EXPECT_TRUE(repair_octaves(Curve{}).empty());
}

TEST(PitchEdit, AShortBreathDoesNotHideAnOctaveError) {
  Curve f0, expected;
  f0 << std::pair{30, 200.F} << std::pair{3, 0.F} << std::pair{10, 400.F} << std::pair{3, 0.F} << std::pair{30, 200.F};
  expected << std::pair{30, 200.F} << std::pair{3, 0.F} << std::pair{10, 200.F} << std::pair{3, 0.F}
           << std::pair{30, 200.F};
  EXPECT_EQ(repair_octaves(f0), expected);
}

TEST(PitchEdit, TheProposedShiftStaysWithinAnOctave) {
  EXPECT_EQ(proposed_semitones(Curve(10, 100.F), 200), 12);
  EXPECT_EQ(proposed_semitones(Curve(10, 100.F), 900), 12);
  EXPECT_EQ(proposed_semitones(Curve(10, 400.F), 155), -12);
  EXPECT_EQ(proposed_semitones(Curve(10, 155.F), 155), 0);
  EXPECT_EQ(proposed_semitones(Curve{0, 0, 200}, 400), 0);  // one voiced frame says nothing
}

TEST(PitchEdit, EditsHappenInTheirOrder) {
  Curve f0;
  f0 << std::pair{30, 100.F} << std::pair{5, 200.F} << std::pair{30, 100.F} << std::pair{10, 0.F}
     << std::pair{30, 110.F};
  const auto edited = edit_pitch(
      f0, {.repair_octaves = true, .proposed_hz = 200, .transpose_semitones = -1, .autotune = "A,B", .fill = true});
  EXPECT_EQ(edited.repaired_frames, 5);
  EXPECT_EQ(edited.semitones, 11);  // an octave proposed, one semitone down
  // 100 Hz and 11 semitones are 188.8 Hz: of the notes A and B, A3 is nearest.
  EXPECT_NEAR(edited.f0_hz[0], 220, 1e-3);
  EXPECT_NEAR(edited.f0_hz[32], 220, 1e-3);
  EXPECT_NEAR(edited.f0_hz[70], 220, 1e-3);  // filled between equal notes
  EXPECT_EQ(std::count(edited.f0_hz.begin(), edited.f0_hz.end(), 0.F), 0);
  EXPECT_EQ(edit_pitch(f0, {}).f0_hz, f0);
}

TEST(PitchEdit, WhatIsOutOfRangeIsRefused) {
  for (const auto& edits :
       {PitchEdits{.smooth_frames = 4}, PitchEdits{.smooth_frames = 0}, PitchEdits{.proposed_hz = 20},
        PitchEdits{.transpose_semitones = 50}, PitchEdits{.transpose_semitones = NAN},
        PitchEdits{.autotune = "C mayor"}, PitchEdits{.autotune_strength = 1.5}}) {
    EXPECT_THROW((void)edit_pitch(Curve{100}, edits), Error);
  }
}

class PitchCurveFile : public ::testing::Test {
 protected:
  std::string refusal(const std::string& content) {
    write_file_atomically(path(), content);
    return message_of([&] { (void)read_pitch_curve(path()); });
  }
  [[nodiscard]] std::filesystem::path path() const { return folder_ / "curve.csv"; }
  TemporaryFolder folder_;
};

TEST_F(PitchCurveFile, ReadsBackWhatItWrote) {
  testing::Lcg numbers(2);
  Curve f0;
  for (int t = 0; t < 500; ++t) f0.push_back(t % 7 == 0 ? 0 : static_cast<float>(200 + 100 * numbers.next()));
  write_pitch_curve(path(), curve_of_frames(f0));
  EXPECT_TRUE(read_file(path()).starts_with("time_s,f0_hz\n0,0\n0.01,"));
  const auto curve = read_pitch_curve(path());
  EXPECT_EQ(curve.f0_hz, f0);
  EXPECT_EQ(frames_of_curve(curve, 500), f0);
  EXPECT_EQ(curve.seconds[123], 1.23);
}

TEST_F(PitchCurveFile, ReadsRvcsLinesAndOtherPeoplesHabits) {
  write_file_atomically(path(), "# by hand\r\n0.5, 110\r\n\r\n0.75,220.5\n1,0");
  const auto curve = read_pitch_curve(path());
  EXPECT_EQ(curve.seconds, (std::vector<double>{0.5, 0.75, 1}));
  EXPECT_EQ(curve.f0_hz, (Curve{110, 220.5, 0}));
}

TEST_F(PitchCurveFile, AMistakeIsNamedWithItsLine) {
  const auto begin = "pitch curve '" + path().string() + "'";
  EXPECT_TRUE(refusal("time_s,f0_hz\n0,220\n0.01,loud\n").starts_with(begin + ", line 3: found '0.01,loud'"));
  EXPECT_TRUE(refusal("time_s,f0_hz\n0\n").starts_with(begin + ", line 2: found '0', which is not two fields"));
  EXPECT_TRUE(refusal("0,1,2\n").starts_with(begin + ", line 1: found '0,1,2', which is not two fields"));
  EXPECT_TRUE(refusal("0,220\n0,230\n").starts_with(begin + ", line 2: time 0 s does not come after"));
  EXPECT_TRUE(refusal("0,-5\n").starts_with(begin + ", line 1: pitch -5 Hz is not between 0 and 8000"));
  EXPECT_TRUE(refusal("0,nan\n").starts_with(begin + ", line 1: found '0,nan'"));
  EXPECT_TRUE(refusal("time_s,f0_hz\n").starts_with(begin + " holds no points"));
  EXPECT_TRUE(refusal("RIFF\xff\xfe,\n").starts_with(begin + ", line 1"));
}

TEST(PitchCurve, IsReadBetweenItsPoints) {
  const PitchCurve curve{.seconds = {0.02, 0.06, 0.10, 0.12}, .f0_hz = {100, 140, 0, 200}};
  EXPECT_EQ(frames_of_curve(curve, 15), (Curve{0, 100, 100, 110, 120, 130, 140, 140, 0, 0, 0, 200, 200, 200, 0}));
  EXPECT_EQ(frames_of_curve({}, 3), (Curve{0, 0, 0}));
}

TEST(PitchCurve, OfAnotherRecordingIsRefused) {
  auto curve = curve_of_frames(Curve(300, 200.F));  // the last point is at 2.99 s
  curve.source = "a.csv";
  EXPECT_EQ(curve_length_remark(curve, 3.0), "");
  EXPECT_EQ(curve_length_remark(curve, 3.2), "the pitch curve ends at 2.99 s, the recording at 3.20 s");
  EXPECT_EQ(message_of([&] { (void)curve_length_remark(curve, 5.0); }),
            "the pitch curve 'a.csv' ends at 2.99 s, but the recording at 5.00 s; give the curve of this recording "
            "(melisma pitch makes one)");
}

}  // namespace
}  // namespace melisma
