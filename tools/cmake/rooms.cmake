# Every library of the house, in dependency order: a library uses only those above it. tests/structure checks the includes.
# Foundation.
melisma_library(tools/base LINK fmt::fmt nlohmann_json::nlohmann_json OpenSSL::Crypto PkgConfig::xxhash ZLIB::ZLIB)
melisma_messages(base tools/base/tfevents.proto)
melisma_library(tools/config DEPS base)
melisma_library(tools/database DEPS base LINK PkgConfig::sqlite3)
# Data.
melisma_library(data/audio DEPS base config LINK PkgConfig::sndfile PkgConfig::soxr PkgConfig::ebur128)
melisma_library(data/effects DEPS base config audio LINK Eigen3::Eigen)
melisma_library(data/augment DEPS base config audio effects)
melisma_library(data/signal TORCH DEPS base config audio)
melisma_library(data/sets DEPS base config audio LINK hdf5::hdf5 ZLIB::ZLIB Eigen3::Eigen)
# Models.
melisma_library(models/catalogue DEPS base LINK PkgConfig::curl)
melisma_embeds(catalogue models/catalogue/catalogue.toml kShippedCatalogue)
melisma_library(models/weights TORCH DEPS base config)
melisma_library(models/merging TORCH DEPS base config weights)
melisma_library(models/layers TORCH DEPS base config weights signal)
melisma_library(models/rvc TORCH DEPS base config weights merging layers signal)
melisma_library(models/pitch TORCH DEPS base config signal catalogue weights layers LINK nlohmann_json::nlohmann_json)
melisma_library(models/content TORCH DEPS base config signal catalogue weights layers)
melisma_library(models/retrieval TORCH DEPS base config weights)
melisma_library(models/mix TORCH DEPS base config audio weights layers signal)
# Running models over audio.
melisma_library(infer/features TORCH DEPS base config audio signal sets catalogue weights layers pitch content
  HEADERS_OF mix)
melisma_library(infer/quantized TORCH DEPS base config weights layers rvc)
melisma_library(infer/convert TORCH
  DEPS base config audio effects signal sets weights layers rvc retrieval features quantized)
melisma_library(infer/mixdown TORCH DEPS base config audio effects signal weights layers mix)
melisma_library(infer/match TORCH DEPS base config audio effects weights HEADERS_OF signal LINK nlohmann_json::nlohmann_json)
# What is measured, and how sure we are.
melisma_library(eval/statistics DEPS base config LINK Eigen3::Eigen)
melisma_library(eval/metrics TORCH DEPS base config audio signal sets features statistics LINK Eigen3::Eigen)
melisma_library(eval/suites TORCH
  DEPS base config audio signal sets weights layers rvc features quantized convert statistics metrics)
# Training.
melisma_library(train/prepare DEPS base config audio sets HEADERS_OF features mix)
melisma_library(train/import DEPS base config audio sets prepare HEADERS_OF features)
melisma_library(train/engine TORCH DEPS base config weights layers statistics)
melisma_library(train/parallel TORCH DEPS base config weights layers engine)
target_include_directories(melisma_parallel SYSTEM PRIVATE train/parallel/gloo_declarations)
melisma_library(train/tasks TORCH
  DEPS base config audio signal sets weights layers rvc mix features quantized convert statistics metrics suites engine
       parallel)
# Experiments.
melisma_library(experiments/runs DEPS base config HEADERS_OF engine)
melisma_library(experiments/jobs DEPS base config database runs)
melisma_library(experiments/report DEPS base config audio sets runs HEADERS_OF engine LINK Eigen3::Eigen)
melisma_library(experiments/sweeps DEPS base config database runs jobs report HEADERS_OF audio)
# Benchmarks against what users would pick instead.
melisma_library(tools/bench TORCH
  DEPS base config database audio signal sets weights layers pitch content rvc retrieval features quantized convert match statistics
       metrics suites prepare engine parallel tasks runs jobs)
target_compile_definitions(melisma_bench PRIVATE MELISMA_PEERS_FOLDER="${PROJECT_SOURCE_DIR}/tools/bench/peers")
# The people's end: actions are what computing commands do (in the engine library); cli is the Torch-free program.
melisma_library(tools/actions TORCH
  DEPS base config audio effects signal sets catalogue weights merging layers rvc mix mixdown features quantized
       convert match statistics metrics suites
       prepare import engine parallel tasks runs jobs report bench retrieval)
melisma_library(tools/cli
  DEPS base config database audio effects sets catalogue prepare runs jobs report sweeps LINK CLI11::CLI11 ${CMAKE_DL_LIBS}
  HEADERS_OF signal weights rvc mix features convert match suites engine parallel tasks actions)

# libmelisma_engine.so: everything that includes Torch, opened by the program when a command computes.
add_library(melisma_engine_library SHARED tools/actions/engine/engine_library.cc)
target_link_libraries(melisma_engine_library PRIVATE melisma_actions)
melisma_use_torch(melisma_engine_library)
set_target_properties(melisma_engine_library PROPERTIES OUTPUT_NAME melisma_engine)

# libmelisma_nccl.so: sums between GPUs, opened by ranks that train on them; built wherever the headers are.
if(TARGET torch::nccl_headers)
  add_library(melisma_nccl MODULE train/parallel/nccl_plugin/nccl_plugin.cc)
  target_include_directories(melisma_nccl PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(melisma_nccl PRIVATE USE_C10D_NCCL)
  target_link_libraries(melisma_nccl PRIVATE torch::nccl_headers)
  add_dependencies(melisma_engine_library melisma_nccl)
endif()

# melisma: the Torch-free program.
add_executable(melisma tools/cli/main/main.cc)
target_link_libraries(melisma PRIVATE melisma_cli)
melisma_frees_mkl(melisma)
add_dependencies(melisma melisma_engine_library)
target_compile_definitions(melisma_cli PRIVATE MELISMA_VERSION="${PROJECT_VERSION}")
melisma_knows_its_commit(cli)
