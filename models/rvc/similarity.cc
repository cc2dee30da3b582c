#include "models/rvc/similarity.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <numeric>

#include "models/weights/weight_norm.h"
#include "tools/base/seed.h"

namespace melisma {
namespace similarity_detail {
namespace {

// Why a part's tensors have no cosine, empty if they have.
std::string mismatch(const NamedVoice& a, const NamedVoice& b, const std::vector<std::string>& in_a,
                     const std::vector<std::string>& in_b, const VoicePart& part) {
  const auto count = [&](const std::vector<std::string>& names) {
    return std::ranges::count_if(names, [&](const auto& name) { return name.starts_with(part.prefix); });
  };
  for (const auto& name : in_a) {
    if (!name.starts_with(part.prefix)) continue;
    if (std::ranges::find(in_b, name) == in_b.end()) return fmt::format("'{}' has no tensor '{}'", b.name, name);
    const auto one = folded_weight(a.file.weights, name).sizes().vec();
    const auto other = folded_weight(b.file.weights, name).sizes().vec();
    if (one != other) {
      return fmt::format("'{}' is [{}] in '{}' but [{}] in '{}'", name, fmt::join(one, ","), a.name,
                         fmt::join(other, ","), b.name);
    }
  }
  if (count(in_a) != count(in_b)) {
    return fmt::format("'{}' has {} tensors of it, '{}' {}", a.name, count(in_a), b.name, count(in_b));
  }
  return "";
}

PartSimilarity similarity_of(const NamedVoice& a, const NamedVoice& b, const VoicePart& part) {
  PartSimilarity result{.part = part.name};
  const auto in_a = folded_names(a.file.weights), in_b = folded_names(b.file.weights);
  result.why_none = mismatch(a, b, in_a, in_b, part);
  double product = 0, square_a = 0, square_b = 0, square_difference = 0;
  for (const auto& name : in_a) {
    if (!name.starts_with(part.prefix)) continue;
    const auto x = folded_weight(a.file.weights, name).to(at::kDouble);
    result.parameters += x.numel();
    if (!result.why_none.empty()) continue;
    const auto y = folded_weight(b.file.weights, name).to(at::kDouble);
    product += (x * y).sum().item<double>();
    square_a += x.square().sum().item<double>();
    square_b += y.square().sum().item<double>();
    square_difference += (x - y).square().sum().item<double>();
  }
  if (result.why_none.empty() && (square_a == 0 || square_b == 0)) result.why_none = "all its weights are zero";
  if (result.why_none.empty()) {
    result.cosine = product / std::sqrt(square_a * square_b);
    result.relative_distance = std::sqrt(square_difference / square_a);
  }
  return result;
}

// What layer `layer` of the text encoder answers x [T, C]: [T, C].
at::Tensor answer(const ModelFile& voice, std::int64_t layer, std::int64_t n_heads, const at::Tensor& x) {
  const auto project = [&](const char* which) {
    const auto name = fmt::format("enc_p.encoder.attn_layers.{}.conv_{}", layer, which);
    const auto weight = voice.weights.at(name + ".weight").to(at::kFloat).squeeze(2);  // [C, C]
    const auto flat = at::addmm(voice.weights.at(name + ".bias").to(at::kFloat), x, weight.t());
    return flat.view({x.size(0), n_heads, -1}).transpose(0, 1);  // [heads, T, d]
  };
  const auto query = project("q");
  const auto scale = 1 / std::sqrt(static_cast<double>(query.size(2)));
  const auto attention = at::softmax(at::bmm(query, project("k").transpose(1, 2)) * scale, -1);
  return at::bmm(attention, project("v")).transpose(0, 1).reshape({x.size(0), -1});
}

}  // namespace
}  // namespace similarity_detail

std::vector<PartSimilarity> part_similarities(const NamedVoice& a, const NamedVoice& b) {
  std::vector<PartSimilarity> parts;
  for (const auto& part : kVoiceParts) parts.push_back(similarity_detail::similarity_of(a, b, part));
  return parts;
}

AttentionSimilarity attention_similarity(const NamedVoice& a, const NamedVoice& b, const AttentionProbe& probe) {
  const auto one = rvc_voice_config(a.file).network, other = rvc_voice_config(b.file).network;
  AttentionSimilarity result;
  const auto differs = [&](const char* what, std::int64_t in_a, std::int64_t in_b) {
    if (in_a != in_b && result.why_none.empty()) {
      result.why_none = fmt::format("{} is {} in '{}' but {} in '{}'", what, in_a, a.name, in_b, b.name);
    }
  };
  differs("hidden_channels", one.hidden_channels, other.hidden_channels);
  differs("n_heads", one.n_heads, other.n_heads);
  differs("n_layers", one.n_layers, other.n_layers);
  if (!result.why_none.empty()) return result;
  auto generator = at::detail::createCPUGenerator(seed_of(probe.seed, "attention probe"));
  for (std::int64_t layer = 0; layer < one.n_layers; ++layer) {
    const auto x = at::randn({probe.frames, one.hidden_channels}, generator, at::TensorOptions());
    const auto cosines =
        at::cosine_similarity(similarity_detail::answer(a.file, layer, one.n_heads, x).to(at::kDouble),
                              similarity_detail::answer(b.file, layer, one.n_heads, x).to(at::kDouble), 1, 1e-12);
    result.layers.push_back(100 * cosines.mean().item<double>());
  }
  result.mean = std::accumulate(result.layers.begin(), result.layers.end(), 0.0) / static_cast<double>(one.n_layers);
  return result;
}

}  // namespace melisma
