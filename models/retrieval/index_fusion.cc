#include "models/retrieval/index_fusion.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/seed.h"

namespace melisma {
namespace index_fusion_detail {
namespace {

void check_parents(std::span<const IndexShare> parents) {
  double largest = 0;
  for (const auto& parent : parents) {
    if (!(parent.share >= 0)) fail(ErrorKind::internal, "a share of {} of an index", parent.share);
    largest = std::max(largest, parent.share);
    if (parent.index.width() != parents.front().index.width()) {
      fail(ErrorKind::data,
           "the index '{}' holds features of {} columns, '{}' of {}: they are not of one kind of voice",
           parents.front().name, parents.front().index.width(), parent.name, parent.index.width());
    }
  }
  if (largest == 0) fail(ErrorKind::data, "no index has a share above 0");
}

// The number of vectors of each parent.
std::vector<std::int64_t> counts_of(std::span<const IndexShare> parents) {
  auto total = std::numeric_limits<double>::infinity();  // the largest with enough of every parent
  for (const auto& parent : parents) {
    if (parent.share > 0) total = std::min(total, static_cast<double>(parent.index.size()) / parent.share);
  }
  std::vector<std::int64_t> counts;
  for (const auto& parent : parents) {
    const auto wanted = std::llround(total * parent.share);
    const std::int64_t least = parent.share > 0 ? 1 : 0;
    counts.push_back(std::clamp<std::int64_t>(wanted, least, parent.index.size()));
  }
  return counts;
}

// `count` of the rows, in their order, chosen by `generator`.
at::Tensor chosen_rows(const at::Tensor& rows, std::int64_t count, at::Generator& generator) {
  if (count == rows.size(0)) return rows;
  const auto order = at::randperm(rows.size(0), generator, at::TensorOptions(at::kLong)).narrow(0, 0, count);
  return rows.index_select(0, std::get<0>(order.sort()));
}

// Each row once.
at::Tensor distinct_rows(const at::Tensor& rows) {
  const auto whole = rows.contiguous();
  const auto* bytes = static_cast<const std::byte*>(whole.const_data_ptr());
  const auto row_bytes = static_cast<std::size_t>(whole.size(1)) * sizeof(float);
  std::unordered_set<std::string> seen;
  std::vector<std::int64_t> kept;
  for (std::int64_t row = 0; row < whole.size(0); ++row) {
    if (seen.insert(content_hash({bytes + static_cast<std::size_t>(row) * row_bytes, row_bytes})).second) {
      kept.push_back(row);
    }
  }
  return whole.index_select(0, at::tensor(kept, at::kLong));
}

}  // namespace
}  // namespace index_fusion_detail

FusedIndex fuse_indexes(std::span<const IndexShare> parents, const IndexSettings& settings,
                        const std::function<void(double)>& progress) {
  using namespace index_fusion_detail;
  check_parents(parents);
  const auto counts = counts_of(parents);
  auto generator = at::detail::createCPUGenerator(seed_of(settings.seed, "index fusion"));
  std::vector<at::Tensor> chosen;
  for (std::size_t i = 0; i < parents.size(); ++i) {
    if (counts[i] > 0) chosen.push_back(chosen_rows(parents[i].index.vectors(), counts[i], generator));
  }
  const auto all = at::cat(chosen);
  const auto distinct = distinct_rows(all);
  return {FeatureIndex::build(distinct, settings, progress), counts, all.size(0) - distinct.size(0)};
}

}  // namespace melisma
