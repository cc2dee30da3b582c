// `melisma prepare` with pitch or content features, which are computed with Torch.
#pragma once
#include "train/prepare/prepare_and_report.h"

namespace melisma {

int prepare_with_features(const PrepareOptions& options);

}  // namespace melisma
