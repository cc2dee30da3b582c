// `melisma engine`: which numeric libraries and fast paths are in force on this machine.
#pragma once

namespace melisma {

struct EngineInfoOptions {
  bool json = false;
};

int engine_info(const EngineInfoOptions& options);

}  // namespace melisma
