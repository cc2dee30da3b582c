// The engine library's one exported symbol: the table of actions, each guarded so that no exception leaves the library.
#include "models/layers/tensor_memory.h"
#include "tools/actions/actions.h"
#include "tools/actions/guard.h"

namespace {

// What is kept for later never adds more than this to the most that was needed at once.
constexpr double kTensorMemoryHeadroom = 1.125;

}  // namespace

extern "C" __attribute__((visibility("default"))) const melisma::EngineActions* melisma_engine_actions() {
  using melisma::guarded;
  static constexpr melisma::EngineActions actions{
      .prepare = guarded<melisma::prepare_with_features>,
      .prepare_songs = guarded<melisma::prepare_songs_with_features>,
      .engine_info = guarded<melisma::engine_info>,
      .extract = guarded<melisma::extract>,
      .bench = guarded<melisma::bench>,
      .convert = guarded<melisma::convert>,
      .train = guarded<melisma::train>,
      .evaluate = guarded<melisma::evaluate>,
      .import_experiment = guarded<melisma::import_experiment>,
      .build_index = guarded<melisma::build_index>,
      .inspect = guarded<melisma::inspect>,
      .pitch = guarded<melisma::pitch>,
      .fuse = guarded<melisma::fuse>,
      .compare = guarded<melisma::compare>,
      .edit_info = guarded<melisma::edit_info>,
      .preview = guarded<melisma::preview>,
      .effects = guarded<melisma::apply_effects>,
      .match = guarded<melisma::match>,
      .match_preset = guarded<melisma::match_preset>,
      .match_batch = guarded<melisma::match_batch>,
      .mix = guarded<melisma::mix>,
  };
#ifndef __SANITIZE_ADDRESS__  // which watches the blocks it hands out itself
  melisma::reuse_tensor_memory(kTensorMemoryHeadroom);
#endif
  return &actions;
}
