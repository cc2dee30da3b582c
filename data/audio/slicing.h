// Cutting a recording into the pieces a voice is trained on, as RVC's preparation does it, and silence splitting as
// librosa does it. Everything works on positions: ranges [first, last) in samples of one channel.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "data/audio/frame_energy.h"
#include "tools/config/fields.h"

namespace melisma {

struct SampleRange {
  std::int64_t first = 0;
  std::int64_t last = 0;  // one past the end
  [[nodiscard]] std::int64_t length() const { return last - first; }
  bool operator==(const SampleRange&) const = default;
};

// Where silence is and how much of it to keep. The defaults are those of Applio and RVC-WebUI.
struct SilenceSlicerConfig {
  double threshold_db = -42;     // a frame whose RMS is below this (dB of full scale) is silent
  double min_length_ms = 1500;   // a piece is not ended before it is this long
  double min_interval_ms = 400;  // silence shorter than this does not end a piece
  double hop_ms = 15;            // distance of the frames; a frame is four hops long, at most min_interval
  double max_kept_ms = 500;      // silence kept at each end of a piece
  static constexpr auto fields() {
    using C = SilenceSlicerConfig;
    return std::tuple{
        field("threshold_db", &C::threshold_db, "frames below this level are silence").unit("dB").range(-120, 0),
        field("min_length_ms", &C::min_length_ms, "a piece is not ended before it is this long")
            .unit("ms")
            .range(0, 1e6),
        field("min_interval_ms", &C::min_interval_ms, "shorter silence does not end a piece").unit("ms").range(1, 1e5),
        field("hop_ms", &C::hop_ms, "distance of the frames in which the level is measured").unit("ms").range(1, 1000),
        field("max_kept_ms", &C::max_kept_ms, "silence kept at each end of a piece").unit("ms").range(0, 1e5),
    };
  }
};

// The slicer in two steps, so that an hour of audio needs only its frame levels in memory:
//   SilenceSlicer slicer(config, rate_hz); while (...) slicer.push(block); auto pieces = slicer.finish();
// Two habits of the RVC slicer are kept: a recording with at most `min_length` *samples where frames are meant* (100
// samples with the defaults) is returned whole, and total silence gives no piece at all.
class SilenceSlicer {
 public:
  // Throws Error(config) for a rate or settings that leave no frame.
  SilenceSlicer(const SilenceSlicerConfig& config, std::int64_t sample_rate_hz);
  void push(std::span<const float> block) { energy_.push(block); }
  // The pieces in order. Nothing may be pushed afterwards.
  [[nodiscard]] std::vector<SampleRange> finish();

  // In samples: hop, window; in frames: the three lengths. As the peers round them.
  [[nodiscard]] std::array<std::int64_t, 5> parameters() const;

 private:
  struct Silence {
    std::int64_t first, last;  // frames dropped: [first, last)
  };
  [[nodiscard]] std::vector<Silence> find_silences(std::span<const double> rms) const;
  [[nodiscard]] Silence trim_silence(std::span<const double> rms, std::int64_t first, std::int64_t last) const;
  double threshold_;
  std::int64_t hop_, window_, min_length_, min_interval_, max_kept_;
  FrameEnergy energy_;
};

// The slicer over a whole recording.
[[nodiscard]] std::vector<SampleRange> slice_at_silence(std::span<const float> samples, std::int64_t sample_rate_hz,
                                                        const SilenceSlicerConfig& config = {});

// Overlapping windows over one piece. The last window takes what is left, up to `longest_tail_s`.
struct WindowConfig {
  std::string_view name;
  double window_s;
  double overlap_s;
  double longest_tail_s;
  std::string_view summary;
};

inline constexpr std::array kWindowConfigs{
    WindowConfig{"applio", 3.0, 0.3, 3.3, "windows of 3.0 s every 2.7 s, as Applio"},
    WindowConfig{"webui", 3.7, 0.3, 4.0, "windows of 3.7 s every 3.4 s, as RVC-WebUI"},
};

[[nodiscard]] std::vector<SampleRange> windows_of(SampleRange piece, std::int64_t sample_rate_hz,
                                                  const WindowConfig& config);

// Windows of one fixed length over everything, the rest at the end dropped ("simple" of Applio).
[[nodiscard]] std::vector<SampleRange> fixed_windows(std::int64_t n_samples, std::int64_t sample_rate_hz,
                                                     double window_s, double overlap_s);

struct SliceMode {
  std::string_view name;
  std::string_view summary;
};
inline constexpr std::array kSliceModes{
    SliceMode{"automatic", "cut at silence, then into overlapping windows"},
    SliceMode{"simple", "overlapping windows over everything, silence included"},
    SliceMode{"skip", "every recording is one piece"},
};
inline constexpr std::array kSliceModeNames{std::string_view("automatic"), std::string_view("simple"),
                                            std::string_view("skip")};
inline constexpr std::array kWindowNames{std::string_view("applio"), std::string_view("webui")};

// Everything `prepare` needs to know to cut a recording.
struct SlicingConfig {
  std::string mode = "automatic";
  std::string windows = "applio";    // automatic: which peer's windows
  double window_s = 3.0;             // simple: window length
  double overlap_s = 0.3;            // simple: overlap of neighbours
  SilenceSlicerConfig silence = {};  // automatic: where to cut
  static constexpr auto fields() {
    using C = SlicingConfig;
    return std::tuple{
        field("mode", &C::mode, "how recordings are cut").choices(kSliceModeNames),
        field("windows", &C::windows, "automatic mode: whose windows").choices(kWindowNames),
        field("window_s", &C::window_s, "simple mode: window length").unit("s").range(0.5, 30),
        field("overlap_s", &C::overlap_s, "simple mode: overlap of neighbouring windows").unit("s").range(0, 0.4),
        field("silence", &C::silence, "automatic mode: where silence is"),
    };
  }
};

// The ranges of a recording that streams by, in any mode.
class Slicer {
 public:
  // Throws Error(config) with did-you-mean for an unknown mode or windows.
  Slicer(const SlicingConfig& config, std::int64_t sample_rate_hz);
  void push(std::span<const float> block);
  [[nodiscard]] std::vector<SampleRange> finish();

 private:
  SlicingConfig config_;
  std::int64_t sample_rate_hz_, n_samples_ = 0;
  SilenceSlicer silence_;
};

// Stretches at most top_db below the loudest frame (librosa.effects.split), and from the first to the last of them
// (librosa.effects.trim).
[[nodiscard]] std::vector<SampleRange> split_by_level(std::span<const float> samples, double top_db,
                                                      std::int64_t window_samples = 2048,
                                                      std::int64_t hop_samples = 512);
[[nodiscard]] SampleRange trim_by_level(std::span<const float> samples, double top_db,
                                        std::int64_t window_samples = 2048, std::int64_t hop_samples = 512);

}  // namespace melisma
