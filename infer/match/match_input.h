// Recordings on their way into matching: read, checked and resampled, with remarks on what was found.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "data/audio/resample.h"
#include "infer/match/match_config.h"
#include "infer/match/stereo.h"

namespace melisma {

enum class MatchRole { target, reference };

// What is said of a recording that can be used; the codes are Matchering's.
struct MatchRemark {
  int code;
  bool is_warning;
  std::string_view text;
};

inline constexpr std::array kMatchRemarks{
    MatchRemark{2101, false, "the target has one channel: both channels of the result begin as it"},
    MatchRemark{2201, false, "the reference has one channel: the result will have no side"},
    MatchRemark{2202, false, "the reference was resampled"},
    MatchRemark{2203, false, "the reference is of a lossy format"},
    MatchRemark{3001, true, "the target is clipped; better take it before it was"},
    MatchRemark{3002, true, "the target has been through a limiter; better take it without"},
    MatchRemark{3003, true, "the target was resampled"},
    MatchRemark{3004, true, "the target is of a lossy format; better take a lossless one"},
};

struct MatchInput {
  StereoSignal signal;
  std::vector<const MatchRemark*> remarks;
};

// Takes a recording in blocks of planar floats.
class MatchIntake {
 public:
  // Throws Error(data) for more than two channels (Matchering's errors 4004, 4104). Memory is taken at once for the
  // frames that are expected.
  MatchIntake(MatchRole role, std::int64_t sample_rate_hz, std::int64_t n_channels, const MatchConfig& config,
              std::int64_t n_expected = 0);
  // Throws Error(data) for a sample that is not finite, and past max_seconds (4002, 4102).
  void add(const Waveform& block);
  // Throws Error(data) if there was less than a spectrum's length (4003, 4103).
  [[nodiscard]] MatchInput finish(bool is_lossy = false);

 private:
  struct Limits {
    std::int64_t most, least;  // frames
  };
  [[nodiscard]] Limits limits() const;
  MatchRole role_;
  std::int64_t sample_rate_hz_, n_channels_, n_frames_ = 0;
  MatchConfig config_;
  std::vector<StreamResampler> resamplers_;  // one a channel
  std::vector<float> resampled_;
  StereoSignal signal_;
};

// A whole file, none of it kept twice. What is too long by its header is refused before it is read. Throws Error(data)
// as MatchIntake and AudioReader.
[[nodiscard]] MatchInput read_match_input(const std::filesystem::path& path, MatchRole role, const MatchConfig& config);

// Whether a file holds what `signal` is, as are_the_same() says: read again block by block, up to the first difference,
// so that two recordings need not be in memory at once. Throws as read_match_input.
[[nodiscard]] bool holds_the_same(const std::filesystem::path& path, const StereoSignal& signal);

// Equally long, and no sample differs by more than 1e-8 and 1e-5 of it: matching them makes no sense (4005).
[[nodiscard]] bool are_the_same(const StereoSignal& target, const StereoSignal& reference);

}  // namespace melisma
