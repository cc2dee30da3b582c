// What the pitch networks hear: frames of a mono wave at 16 kHz, any range of them, so that long recordings are heard
// piece by piece. A frame does not depend on which others are asked for with it.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace melisma {

inline constexpr std::int64_t kPitchRateHz = 16000;  // every network here was trained at this rate
inline constexpr std::int64_t kPitchHop = 160;       // samples from frame to frame

// Frames that the networks' own programs make of n samples: n / 160 + 1.
[[nodiscard]] constexpr std::int64_t network_frames(std::int64_t n_samples) { return n_samples / kPitchHop + 1; }

// What stands outside the wave.
enum class Surroundings { zeros, mirror };

// Samples [first, last) of the wave, which may begin before it and end after it: [last - first]. A mirror needs a wave
// longer than what is mirrored; shorter ones stand in zeros.
[[nodiscard]] at::Tensor samples_around(std::span<const float> wave, std::int64_t first, std::int64_t last,
                                        Surroundings outside);

// CREPE: frame t is samples [160 t - 512, 160 t + 512), zeros outside the wave, brought to mean 0 and deviation 1
// (unbiased; silence stays 0): [count, 1024]. As torchcrepe 0.0.24.
[[nodiscard]] at::Tensor crepe_frames(std::span<const float> wave, std::int64_t first, std::int64_t count);

// RMVPE: ln of 128 HTK mel bands of 30 ... 8000 Hz (magnitudes, Slaney areas, floor 1e-5), windows of 1024 samples
// centred on sample 160 t, mirrored ends: [count, 128]. Frames from network_frames on mirror those before, as the
// RVC tools fill the last block of 32; where there are too few to mirror they are 0, as in RVC-WebUI.
[[nodiscard]] at::Tensor rmvpe_mel(std::span<const float> wave, std::int64_t first, std::int64_t count);

// FCPE: ln of n_mels Slaney bands of fmin ... fmax Hz (magnitudes sqrt(re^2 + im^2 + 1e-9), floor 1e-5), windows of
// n_fft samples from 160 t - (n_fft - 160) / 2 on, mirrored ends: [count, n_mels]. The last of network_frames repeats
// the one before where no whole window is left for it. As torchfcpe 0.0.4.
struct FcpeMel {
  std::int64_t n_fft = 1024, n_mels = 128;
  double fmin = 0, fmax = 8000;  // Hz
};
[[nodiscard]] at::Tensor fcpe_mel(std::span<const float> wave, std::int64_t first, std::int64_t count,
                                  const FcpeMel& config = {});

}  // namespace melisma
