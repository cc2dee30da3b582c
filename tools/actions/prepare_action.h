// `melisma prepare` with pitch or content features, which are computed with Torch.
#pragma once
#include "train/prepare/prepare_and_report.h"
#include "train/prepare/song_prepare.h"

namespace melisma {

int prepare_with_features(const PrepareOptions& options);

// `melisma prepare --kind multitrack` with mel spectrograms.
int prepare_songs_with_features(const SongOptions& options);

}  // namespace melisma
