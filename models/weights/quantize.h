// Weights in eight bits: symmetric int8 a channel, its inverse, and how much is lost.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "models/weights/model_file.h"

namespace melisma {

// codes int8 with values in [-127, 127]; value = code * scale. The scale has the dimensions of the codes, 1 where it is
// shared, so that it says itself which axis it belongs to.
struct QuantizedWeight {
  at::Tensor codes;  // int8
  at::Tensor scale;  // float32
};

// scale = max|w| / largest_code in float32 (1 where all are zero); code = round half to even of w / scale. A scale for
// each index along `axis`; axis -1 = one for all. largest_code 7 gives four-bit codes.
[[nodiscard]] QuantizedWeight quantize_symmetric(const at::Tensor& weight, std::int64_t axis,
                                                 std::int64_t largest_code = 127);
[[nodiscard]] at::Tensor dequantize(const QuantizedWeight& weight);  // float32

// codes uint8; value = (code - zero_point) * scale. The range always contains 0.
struct QuantizedActivations {
  at::Tensor codes;       // uint8, shape of the input
  at::Tensor scale;       // float32 [rows] or [1]
  at::Tensor zero_point;  // uint8 [rows] or [1]
};
// x [rows, k]: per_row, or one scale for everything.
[[nodiscard]] QuantizedActivations quantize_asymmetric(const at::Tensor& x, bool per_row);

// 10 log10(sum reference^2 / sum (reference - got)^2) in double; infinity if they are equal.
[[nodiscard]] double snr_db(const at::Tensor& reference, const at::Tensor& got);
[[nodiscard]] double snr_db(const at::Tensor& reference, const QuantizedWeight& got);

// What became of one tensor.
struct LayerQuality {
  std::string name;
  std::string stored_as;  // "int8", "fp16"
  double snr_db = 0;      // of the stored values against float32
  std::string reason;     // why it is not int8; empty if it is
};

inline constexpr std::string_view kInt8 = "int8";
inline constexpr std::string_view kScaleSuffix = "_scale";  // "dec.ups.0.weight" has "dec.ups.0.weight_scale"

// The weights of an int8 file as float32 under their plain names; files of other kinds come back as they are.
[[nodiscard]] ModelFile dequantized(ModelFile file);

}  // namespace melisma
