#include "models/retrieval/feature_index.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "models/retrieval/kmeans.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr float kNoDistance = std::numeric_limits<float>::max();

at::Tensor as_matrix(const std::vector<float>& values, std::int64_t width) {
  return at::tensor(values, at::kFloat).view({-1, width});
}

std::vector<float> as_floats(const at::Tensor& matrix) {
  const auto flat = matrix.contiguous();
  const auto* first = flat.const_data_ptr<float>();
  return {first, first + flat.numel()};
}

// The vectors sorted into the lists of their nearest centres, in each list by number.
InvertedLists sorted_into_lists(const at::Tensor& vectors, const at::Tensor& centres) {
  InvertedLists lists;
  lists.width = vectors.size(1);
  lists.centres = as_floats(centres);
  lists.rows.resize(static_cast<std::size_t>(centres.size(0)));
  const auto nearest = nearest_centres(vectors, centres);
  const auto* list = nearest.const_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < vectors.size(0); ++row)
    lists.rows[static_cast<std::size_t>(list[row])].push_back(row);
  for (const auto& rows : lists.rows) {
    lists.vectors.push_back(as_floats(vectors.index_select(0, at::tensor(rows, at::kLong))));
  }
  return lists;
}

// For one query: the k smallest of the candidates, by distance, then by number.
class Nearest {
 public:
  Nearest(std::int64_t k, std::int64_t* rows, float* distances) : k_(k), rows_(rows), distances_(distances) {
    std::fill_n(rows, k, -1);
    std::fill_n(distances, k, kNoDistance);
  }
  void offer(std::int64_t row, float distance) {
    const auto comes_before = [&](std::int64_t i) {
      return distance < distances_[i] || (distance == distances_[i] && (rows_[i] < 0 || row < rows_[i]));
    };
    if (!comes_before(k_ - 1)) return;
    auto place = k_ - 1;
    for (; place > 0 && comes_before(place - 1); --place) {
      rows_[place] = rows_[place - 1];
      distances_[place] = distances_[place - 1];
    }
    rows_[place] = row;
    distances_[place] = distance;
  }

 private:
  std::int64_t k_;
  std::int64_t* rows_;
  float* distances_;
};

float squared_distance(const float* a, const float* b, std::int64_t width) {
  constexpr std::int64_t kLanes = 8;  // sums kept apart so that the compiler may add them side by side
  float sums[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const auto difference = a[i + lane] - b[i + lane];
      sums[lane] += difference * difference;
    }
  }
  float sum = std::accumulate(sums, sums + kLanes, 0.0F);
  for (; i < width; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// Where a frame differs from the one before it.
std::vector<std::int64_t> first_of_equal_frames(const at::Tensor& features) {
  std::vector<std::int64_t> first{0};
  if (features.size(0) < 2) return first;
  const auto changes = features.slice(0, 1).ne(features.slice(0, 0, -1)).any(1).contiguous();
  const auto* changed = changes.const_data_ptr<bool>();
  for (std::int64_t t = 1; t < features.size(0); ++t) {
    if (changed[t - 1]) first.push_back(t);
  }
  return first;
}

}  // namespace

std::int64_t lists_for(std::int64_t n_vectors) {
  const auto by_root = static_cast<std::int64_t>(16 * std::sqrt(static_cast<double>(n_vectors)));
  return std::max<std::int64_t>(1, std::min(by_root, n_vectors / 39));
}

FeatureIndex::FeatureIndex(const InvertedLists& lists)
    : probes_(std::clamp<std::int64_t>(lists.probes, 1, lists.n_lists())) {
  centres_ = as_matrix(lists.centres, lists.width);
  vectors_ = at::empty({lists.n_vectors(), lists.width}, at::kFloat);
  rows_ = at::empty({lists.n_vectors()}, at::kLong);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < lists.rows.size(); ++i) {
    first_.push_back(first);
    std::copy(lists.vectors[i].begin(), lists.vectors[i].end(), vectors_.data_ptr<float>() + first * lists.width);
    std::copy(lists.rows[i].begin(), lists.rows[i].end(), rows_.data_ptr<std::int64_t>() + first);
    first += static_cast<std::int64_t>(lists.rows[i].size());
  }
  first_.push_back(first);
}

FeatureIndex FeatureIndex::build(const at::Tensor& vectors, const IndexSettings& settings,
                                 const std::function<void(double)>& progress) {
  const c10::NoGradGuard no_grad;
  if (vectors.dim() != 2 || vectors.size(0) < 1 || vectors.size(1) < 1) {
    fail(ErrorKind::data, "an index needs at least one frame of features");
  }
  auto kept = vectors.to(at::kFloat).contiguous();
  if (!at::isfinite(kept).all().item<bool>()) fail(ErrorKind::data, "the features hold values that are not finite");
  const bool reduces = settings.reduce && kept.size(0) > kReduceAbove;
  const auto part = [&](double from, double to) {
    return [&progress, from, to](double done) {
      if (progress) progress(from + (to - from) * done);
    };
  };
  if (reduces) {
    kept = kmeans(kept, {.centres = kReduceTo, .points_per_centre = 20, .seed = settings.seed}, part(0, 0.8));
  }
  const auto centres =
      kmeans(kept, {.centres = lists_for(kept.size(0)), .seed = settings.seed}, part(reduces ? 0.8 : 0, 1));
  return FeatureIndex(sorted_into_lists(kept, centres));
}

FeatureIndex FeatureIndex::load(const std::filesystem::path& path) { return FeatureIndex(read_index_file(path)); }

void FeatureIndex::save(const std::filesystem::path& path) const {
  InvertedLists lists;
  lists.width = width();
  lists.probes = probes_;
  lists.centres = as_floats(centres_);
  for (std::size_t i = 0; i + 1 < first_.size(); ++i) {
    lists.vectors.push_back(as_floats(vectors_.slice(0, first_[i], first_[i + 1])));
    const auto* rows = rows_.const_data_ptr<std::int64_t>();
    lists.rows.emplace_back(rows + first_[i], rows + first_[i + 1]);
  }
  write_index_file(path, lists);
}

at::Tensor FeatureIndex::vectors() const { return at::empty_like(vectors_).index_copy_(0, rows_, vectors_); }

Neighbours FeatureIndex::search(const at::Tensor& queries, std::int64_t k, std::int64_t probes) const {
  const c10::NoGradGuard no_grad;
  if (queries.dim() != 2 || queries.size(1) != width()) {
    fail(ErrorKind::data, "the index holds vectors of {} columns, the features have {}", width(), queries.size(-1));
  }
  const auto asked = queries.to(at::kFloat).contiguous();
  const auto n = asked.size(0);
  const auto n_probes = std::min(probes > 0 ? probes : probes_, n_lists());
  const auto near = at::addmm(centres_.square().sum(1), asked, centres_.t(), 1, -2).topk(n_probes, 1, false, true);
  const auto lists = std::get<1>(near).contiguous();
  Neighbours found{at::empty({n, k}, at::kLong), at::empty({n, k}, at::kFloat)};
  const auto* probed = lists.const_data_ptr<std::int64_t>();
  const auto* query = asked.const_data_ptr<float>();
  const auto* vector = vectors_.const_data_ptr<float>();
  const auto* row = rows_.const_data_ptr<std::int64_t>();
  auto* rows = found.rows.data_ptr<std::int64_t>();
  auto* distances = found.squared_distances.data_ptr<float>();
#pragma omp parallel for schedule(dynamic, 16)
  for (std::int64_t q = 0; q < n; ++q) {
    Nearest nearest(k, rows + q * k, distances + q * k);
    for (std::int64_t p = 0; p < n_probes; ++p) {
      const auto list = static_cast<std::size_t>(probed[q * n_probes + p]);
      for (auto i = first_[list]; i < first_[list + 1]; ++i) {
        nearest.offer(row[i], squared_distance(query + q * width(), vector + i * width(), width()));
      }
    }
  }
  return found;
}

at::Tensor FeatureIndex::blend(const at::Tensor& features, double rate) const {
  const c10::NoGradGuard no_grad;
  if (features.size(0) == 0 || rate == 0) return features;
  const auto first = first_of_equal_frames(features);
  const auto distinct = features.index_select(0, at::tensor(first, at::kLong)).to(at::kFloat);
  const auto found = search(distinct);
  const auto distance = found.squared_distances.to(at::kDouble);  // [n, k]
  const auto exists = found.rows >= 0;
  const auto exact = (distance == 0).logical_and(exists);
  auto weights = at::where(exists, distance.reciprocal().square(), at::zeros({}, at::kDouble));
  weights = at::where(exact.any(1, true), exact.to(at::kDouble), weights);
  weights = weights / weights.sum(1, true).clamp_min(std::numeric_limits<double>::min());
  const auto neighbours = vectors().index_select(0, found.rows.clamp_min(0).flatten());
  const auto retrieved =
      at::bmm(weights.to(at::kFloat).unsqueeze(1), neighbours.view({-1, found.rows.size(1), width()})).squeeze(1);
  const auto blended = at::where(exists.any(1, true), retrieved * rate + distinct * (1 - rate), distinct);
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < first.size(); ++i) {
    lengths.push_back((i + 1 < first.size() ? first[i + 1] : features.size(0)) - first[i]);
  }
  return blended.repeat_interleave(at::tensor(lengths, at::kLong), 0);
}

}  // namespace melisma
