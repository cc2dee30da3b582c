// The settings of `melisma prepare --kind multitrack`: which files are tracks, how they are stored, what is held out.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "data/audio/fate.h"
#include "models/mix/mix_config.h"
#include "tools/config/fields.h"
#include "train/prepare/prepare_config.h"
#include "train/prepare/song_layouts.h"

namespace melisma {

inline constexpr std::array kSplitByNames{std::string_view("artist"), std::string_view("song")};

struct SongConfig {
  std::int64_t sample_rate_hz = 44100;
  std::string layout = "auto";
  std::string tracks = "stems";
  FateConfig fate;
  std::string storage = "int16";
  bool exact_spectrograms = false;
  bool with_mel = false;
  MixMelConfig mel;
  std::string split_by = "artist";
  bool own_split = true;
  double validation_share = 0.1;
  double test_share = 0.1;
  std::int64_t seed = 0;
  static constexpr auto fields() {
    using C = SongConfig;
    return std::tuple{
        field("sample_rate_hz", &C::sample_rate_hz, "rate of the dataset; tracks of other rates are resampled")
            .unit("Hz")
            .range(8000, 192000),
        field("layout", &C::layout, "how the folder is laid out; auto = as most of its files are")
            .choices(kSongLayoutNames),
        field("tracks", &C::tracks, "what is mixed where a corpus has both: finished stems or raw tracks")
            .choices(kTrackChoiceNames),
        field("fate", &C::fate, "which tracks are of use"),
        field("storage", &C::storage, "how samples are kept").choices(kWaveStorageNames),
        field("exact_spectrograms", &C::exact_spectrograms,
              "keep spectrograms of .npy files in 32 bits; otherwise in 8, each with a range of its own"),
        field("with_mel", &C::with_mel, "keep the mel spectrograms that mixing models hear, in 8 bits"),
        field("mel", &C::mel, "how these are made"),
        field("split_by", &C::split_by, "all songs of an artist on one side, or each song on its own")
            .choices(kSplitByNames),
        field("own_split", &C::own_split, "keep the sides that the corpus itself has (train and test folders)"),
        field("validation_share", &C::validation_share, "share of the songs held out for validation").range(0, 0.5),
        field("test_share", &C::test_share, "share of the songs held out for the final test").range(0, 0.5),
        field("seed", &C::seed, "chooses which songs are held out").at_least(0),
    };
  }
};

}  // namespace melisma
