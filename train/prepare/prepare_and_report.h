// `melisma prepare` once its options are parsed, with or without features: console, work, report, exit code.
#pragma once
#include <string>

#include "train/prepare/prepare.h"

namespace melisma {

struct PrepareOptions {
  PrepareRequest request;
  std::string device = "auto";  // of content features made by a network; several share the work out
  bool json = false;
};

// Prepares, tells the progress on stderr and the outcome on stdout (JSON if asked); returns the exit code. Throws as
// prepare().
int prepare_and_report(const PrepareOptions& options, std::span<const FeatureMaker> features);

}  // namespace melisma
