// Augmentations of tracks: one row of a table each, drawn from seed streams, so that a resumed run draws the same.
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "data/audio/waveform.h"
#include "tools/base/seed.h"
#include "tools/config/fields.h"

namespace melisma {

// How often each augmentation is drawn, and how far it goes. 0 switches one off.
struct AugmentConfig {
  double remix = 0;
  double speed = 0;
  double speed_percent = 6;
  double pitch = 0;
  double pitch_semitones = 2;
  double eq = 0.3;
  double eq_db = 6;
  double gain = 0.5;
  double gain_db = 6;
  double pan = 0.3;
  double polarity = 0.2;
  double noise = 0;
  double noise_db = -50;
  double channel_swap = 0.5;
  static constexpr auto fields() {
    using C = AugmentConfig;
    return std::tuple{
        field("remix", &C::remix, "how often a track is taken from another song").range(0, 1),
        field("speed", &C::speed, "how often a song is played faster or slower, pitch going along").range(0, 1),
        field("speed_percent", &C::speed_percent, "at most this much faster or slower").unit("%").range(0, 50),
        field("pitch", &C::pitch, "how often a song is played higher or lower, drums left alone").range(0, 1),
        field("pitch_semitones", &C::pitch_semitones, "at most this much higher or lower").range(0, 12),
        field("eq", &C::eq, "how often a track gets a bell at some frequency").range(0, 1),
        field("eq_db", &C::eq_db, "at most this high or deep").unit("dB").range(0, 24),
        field("gain", &C::gain, "how often a track is louder or quieter").range(0, 1),
        field("gain_db", &C::gain_db, "at most this much").unit("dB").range(0, 48),
        field("pan", &C::pan, "how often a track is placed elsewhere, by equal power").range(0, 1),
        field("polarity", &C::polarity, "how often a track is turned upside down").range(0, 1),
        field("noise", &C::noise, "how often a track gets white noise").range(0, 1),
        field("noise_db", &C::noise_db, "the noise against the track's own root mean square").unit("dB").range(-120, 0),
        field("channel_swap", &C::channel_swap, "how often left and right of a whole song change places").range(0, 1),
    };
  }
};

// One excerpt of a song: tracks of 1 or 2 channels, all of one rate and as many frames. A mix that goes with them is
// one more entry with is_mix: what holds for the whole song (speed, pitch, channel swap) is done to it too, and after a
// change of single tracks is_mix_stale says that it is no longer theirs.
struct AugmentedTrack {
  Waveform wave;
  std::string stem;  // "drums", empty if unknown
  bool is_mix = false;
};
struct AugmentedSong {
  std::vector<AugmentedTrack> tracks;
  bool is_mix_stale = false;
};

// A track of another song of the same kind (`stem`), with as many frames at the same rate; nothing if there is none.
using FindDonor = std::function<std::optional<Waveform>(const std::string& stem, RandomSource& random)>;

struct AugmentationRow {
  std::string_view name, summary;
  double AugmentConfig::*probability;
  // One of the two: changes all of a song, drawn once, or one track, drawn for each.
  void (*of_song)(AugmentedSong& song, const AugmentConfig& config, RandomSource& random);
  void (*of_track)(AugmentedTrack& track, const AugmentConfig& config, RandomSource& random, const FindDonor& donor);
};

// In the order in which they are done.
[[nodiscard]] std::span<const AugmentationRow> augmentations();

// Draws and does every augmentation. The draws depend on `seed`, `position` (for example {epoch, step, example}), the
// row's name and the track's number, on nothing else. Frames and rates stay; a panned mono track gets two channels.
void augment(AugmentedSong& song, const AugmentConfig& config, std::uint64_t seed,
             std::initializer_list<std::int64_t> position, const FindDonor& donor = {});

}  // namespace melisma
