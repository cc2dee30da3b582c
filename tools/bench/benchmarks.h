// The table of benchmarks, `melisma bench NAME`. Torch-free.
#pragma once
#include <array>

#include "tools/bench/benchmark.h"

namespace melisma {

[[nodiscard]] BenchmarkReport bench_conversion(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_features(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_jobs(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_match(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_match_preview(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_mix_losses(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_pitch(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_pitch_networks(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_prepare(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_reducer(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_rvc_step(const BenchmarkOptions& options);
[[nodiscard]] BenchmarkReport bench_separation(const BenchmarkOptions& options);

inline constexpr std::array kBenchmarks{
    Benchmark{"prepare", "recordings to dataset, by stage and against the RVC tools' steps in Python", bench_prepare},
    Benchmark{"pitch",
              "pitch and content features per core, against librosa's, WORLD's and Praat's; accuracy of every method",
              bench_pitch},
    Benchmark{"pitch-networks", "RMVPE, CREPE and FCPE per core, against the same networks in Python",
              bench_pitch_networks},
    Benchmark{"features", "HuBERT content features against transformers' HubertModel", bench_features},
    Benchmark{"conversion", "a song through a full-size voice, against the same steps in PyTorch", bench_conversion},
    Benchmark{"match", "a song matched to a reference, against Matchering 2.0.6", bench_match},
    Benchmark{"match-preview", "moved controls of eight stems, until they are heard", bench_match_preview},
    Benchmark{"mix-losses", "multi-resolution STFT losses with their gradients, against auraloss", bench_mix_losses},
    Benchmark{"rvc-step", "one RVC training step against the same step done the way Applio does it", bench_rvc_step},
    Benchmark{"reducer", "summing gradients over 1, 2 and 4 ranks, against a model of it", bench_reducer},
    Benchmark{"jobs", "listing, taking and submitting jobs, ten thousand of them in the queue", bench_jobs},
    Benchmark{"separation", "BSS Eval of four stereo stems against museval's", bench_separation},
};

}  // namespace melisma
