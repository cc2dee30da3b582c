#include "models/rvc/voice_export.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <functional>
#include <memory>

#include "models/rvc/tensor_shapes.h"
#include "models/rvc/voice_file.h"
#include "models/weights/mapped_file.h"
#include "models/weights/weight_norm.h"
#include "tools/base/error.h"

namespace melisma {
namespace voice_export_detail {
namespace {

// Codes and scale must take less room than fp16: more than this many weights a channel.
constexpr std::int64_t kLeastWeightsPerScale = 4;

// A float tensor of the voice under its stored name, not yet read.
struct Source {
  std::string name;
  std::vector<std::int64_t> shape;
  std::function<at::Tensor()> read;  // float values, finite
  std::function<void()> release;     // gives the memory of the file behind it back
};

at::Tensor checked(const std::string& name, at::Tensor tensor) {
  check_finite(name, tensor);
  return tensor;
}

Source as_it_is(const std::string& name, const at::Tensor& tensor) {
  return {name, tensor.sizes().vec(), [name, tensor] { return checked(name, tensor.detach()); },
          [tensor] { release_mapped_file(tensor); }};
}

Source folded(const std::string& name, const at::Tensor& g, const at::Tensor& v) {
  return {name, v.sizes().vec(), [name, g, v] { return checked(name, fold_weight_norm(g.detach(), v.detach())); },
          [v] { release_mapped_file(v); }};
}

std::string without(const std::string& name, std::string_view ending) {
  return name.substr(0, name.size() - ending.size());
}

std::vector<Source> sources_of(const StateDict& weights, bool fold) {
  std::vector<Source> sources;
  for (const auto& [name, tensor] : weights) {
    if (name.starts_with("enc_q.")) continue;
    if (fold && name.ends_with(".weight_g")) continue;
    if (fold && name.ends_with(".weight_v")) {
      const auto base = without(name, "_v");
      sources.push_back(folded(base, weights.at(base + "_g"), tensor));
    } else {
      sources.push_back(as_it_is(name, tensor));
    }
  }
  return sources;
}

at::ScalarType scalar_type(std::string_view type) {
  if (type == "fp16") return at::kHalf;
  if (type == "bf16") return at::kBFloat16;
  return at::kFloat;
}

at::Tensor converted(const Source& source, at::ScalarType type) {
  const auto original = source.read();
  auto result = original.to(type);
  if (type == at::kHalf && original.scalar_type() != at::kHalf && !at::isfinite(result).all().item<bool>()) {
    fail(ErrorKind::checkpoint, "'{}' has values beyond 65504, which fp16 cannot hold; use --dtype bf16 or fp32",
         source.name);
  }
  return result;
}

TensorToWrite written_as(const Source& source, at::ScalarType type) {
  return {source.name, source.shape, type, [source, type] { return converted(source, type); }, source.release};
}

// What `use` makes of the tensor as float32; the memory of the file is given back.
template <class Use>
auto used(const Source& source, const Use& use) {
  auto result = use(source.read().to(at::kFloat));
  source.release();
  return result;
}

double snr_through(const Source& source, at::ScalarType type) {
  return used(source, [&](const at::Tensor& original) { return snr_db(original, original.to(type)); });
}

bool is_matrix(const Source& source) { return source.shape.size() >= 2; }

// False where int8 codes with their scales would take no less room than fp16.
bool is_worth_quantizing(const Source& source) {
  if (!is_matrix(source) || !source.name.ends_with(".weight")) return false;
  std::int64_t numel = 1;
  for (const auto size : source.shape) numel *= size;
  return numel > kLeastWeightsPerScale * source.shape[static_cast<std::size_t>(rvc_output_axis(source.name))];
}

void plan_int8(VoiceExport& plan, const Source& source, double least_snr_db) {
  const auto axis = rvc_output_axis(source.name);
  const auto quality =
      used(source, [&](const at::Tensor& original) { return snr_db(original, quantize_symmetric(original, axis)); });
  if (quality < least_snr_db) {
    plan.tensors.push_back(written_as(source, at::kHalf));
    plan.layers.push_back({source.name, "fp16", snr_through(source, at::kHalf),
                           fmt::format("int8 would keep {:.1f} dB, under {:.0f}", quality, least_snr_db)});
    return;
  }
  std::vector<std::int64_t> scale_shape(source.shape.size(), 1);
  scale_shape[static_cast<std::size_t>(axis)] = source.shape[static_cast<std::size_t>(axis)];
  const auto quantized = [source, axis] {
    return used(source, [&](const at::Tensor& original) { return quantize_symmetric(original, axis); });
  };
  plan.tensors.push_back({source.name, source.shape, at::kChar, [quantized] { return quantized().codes; }});
  plan.tensors.push_back(
      {source.name + std::string(kScaleSuffix), scale_shape, at::kFloat, [quantized] { return quantized().scale; }});
  plan.layers.push_back({source.name, std::string(kInt8), quality, ""});
}

}  // namespace
}  // namespace voice_export_detail

VoiceExport export_voice(const ModelFile& voice, const VoiceExportOptions& options) {
  using namespace voice_export_detail;
  const bool is_int8 = options.type == kInt8;
  VoiceExport plan;
  for (const auto& source : sources_of(voice.weights, options.fold || is_int8)) {
    if (is_int8 && is_worth_quantizing(source)) {
      plan_int8(plan, source, options.least_snr_db);
    } else if (is_int8) {
      plan.tensors.push_back(written_as(source, at::kFloat));
    } else {
      const auto type = scalar_type(options.type);
      plan.tensors.push_back(written_as(source, type));
      if (type != at::kFloat && is_matrix(source)) {
        plan.layers.push_back({source.name, std::string(options.type), snr_through(source, type), ""});
      }
    }
  }
  return plan;
}

ModelFile exported_model(const ModelFile& voice, const VoiceExport& exported, std::string_view type) {
  ModelFile model = voice;
  model.weights = {};
  for (const auto& tensor : exported.tensors) model.weights.add(tensor.name, tensor.make());
  model.quantization = type == kInt8 ? std::string(kInt8) : "none";
  return model;
}

}  // namespace melisma
