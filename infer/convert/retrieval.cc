#include "infer/convert/retrieval.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace melisma {
namespace {

constexpr double kProtectsNothing = 0.5;
constexpr std::int64_t kFramesAtOnce = 6000;  // a minute: bounds the table of neighbours

}  // namespace

void retrieve(FeatureMatrix& content, std::span<const float> f0_hz, const Retrieval& retrieval) {
  if (!retrieval.index || retrieval.rate == 0) return;
  const c10::NoGradGuard no_grad;
  const auto width = content.width;
  const auto all = at::from_blob(content.values.data(), {content.n_frames, width}, at::kFloat);
  for (std::int64_t first = 0; first < content.n_frames; first += kFramesAtOnce) {
    const auto part = all.slice(0, first, std::min(first + kFramesAtOnce, content.n_frames));
    auto blended = retrieval.index->blend(part, retrieval.rate);
    if (retrieval.protect < kProtectsNothing) {
      auto share = at::ones({part.size(0), 1});
      auto* value = share.data_ptr<float>();
      for (std::int64_t t = 0; t < part.size(0); ++t) {
        const auto frame = static_cast<std::size_t>(first + t);
        const bool is_voiced = frame < f0_hz.size() && f0_hz[frame] > 0;
        if (!is_voiced) value[t] = static_cast<float>(retrieval.protect);
      }
      blended = at::lerp(part, blended, share);
    }
    part.copy_(blended);
  }
}

}  // namespace melisma
