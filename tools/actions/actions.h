// What computing commands do once their options are parsed. The program is Torch-free: it reaches these functions
// through the one table that libmelisma_engine.so exports. Option structs and this header include no Torch.
#pragma once
#include "tools/actions/bench_action.h"
#include "tools/actions/compare_action.h"
#include "tools/actions/convert_action.h"
#include "tools/actions/edit_info_action.h"
#include "tools/actions/effects_action.h"
#include "tools/actions/engine_info_action.h"
#include "tools/actions/evaluate_action.h"
#include "tools/actions/extract_action.h"
#include "tools/actions/fuse_action.h"
#include "tools/actions/import_action.h"
#include "tools/actions/index_action.h"
#include "tools/actions/inspect_action.h"
#include "tools/actions/match_action.h"
#include "tools/actions/match_batch_action.h"
#include "tools/actions/match_preset_action.h"
#include "tools/actions/mix_action.h"
#include "tools/actions/pitch_action.h"
#include "tools/actions/prepare_action.h"
#include "tools/actions/preview_action.h"
#include "tools/actions/train_action.h"

namespace melisma {

// One function a computing command. Each returns the exit code, or throws Error (never across the library boundary: the
// table's functions are wrapped by guarded_action).
struct EngineActions {
  int (*prepare)(const PrepareOptions& options);
  int (*prepare_songs)(const SongOptions& options);
  int (*engine_info)(const EngineInfoOptions& options);
  int (*extract)(const ExtractOptions& options);
  int (*bench)(const BenchOptions& options);
  int (*convert)(const ConvertActionOptions& options);
  int (*train)(const TrainOptions& options);
  int (*evaluate)(const EvaluateOptions& options);
  int (*import_experiment)(const ImportOptions& options);
  int (*build_index)(const IndexOptions& options);
  int (*inspect)(const InspectOptions& options);
  int (*pitch)(const PitchActionOptions& options);
  int (*fuse)(const FuseOptions& options);
  int (*compare)(const CompareOptions& options);
  int (*edit_info)(const EditInfoOptions& options);
  int (*preview)(const PreviewOptions& options);
  int (*effects)(const EffectsOptions& options);
  int (*match)(const MatchOptions& options);
  int (*match_preset)(const MatchPresetOptions& options);
  int (*match_batch)(const MatchBatchOptions& options);
  int (*mix)(const MixOptions& options);
};

inline constexpr const char* kEngineEntryPoint = "melisma_engine_actions";

}  // namespace melisma
