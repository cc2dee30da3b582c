// A voice's feature index: its training frames, and content features drawn towards them.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>

#include "models/retrieval/index_file.h"

namespace melisma {

inline constexpr std::int64_t kIndexNeighbours = 8;  // as the RVC tools take
inline constexpr std::int64_t kReduceAbove = 200000, kReduceTo = 10000;

// Lists for n vectors: min(int(16 sqrt(n)), n / 39) as the RVC tools have it, but at least 1, where they fail.
[[nodiscard]] std::int64_t lists_for(std::int64_t n_vectors);

struct Neighbours {
  at::Tensor rows;               // [queries, k] int64; -1 where the probed lists hold fewer than k vectors
  at::Tensor squared_distances;  // [queries, k] float32, ascending; the largest float where there is no neighbour
};

struct IndexSettings {
  std::uint64_t seed = 0;
  bool reduce = true;  // more than 200,000 vectors become 10,000 k-means centres first, as the RVC tools do
};

class FeatureIndex {
 public:
  // vectors [n, width] float32, n >= 1, finite; Error(data) otherwise. `progress` gets fractions in 0 ... 1.
  [[nodiscard]] static FeatureIndex build(const at::Tensor& vectors, const IndexSettings& settings = {},
                                          const std::function<void(double)>& progress = {});
  // A faiss IVF-Flat file; Error(checkpoint) that says what is wrong with it.
  [[nodiscard]] static FeatureIndex load(const std::filesystem::path& path);
  void save(const std::filesystem::path& path) const;

  [[nodiscard]] std::int64_t width() const { return centres_.size(1); }
  [[nodiscard]] std::int64_t size() const { return vectors_.size(0); }
  [[nodiscard]] std::int64_t n_lists() const { return centres_.size(0); }
  // All vectors by their numbers: [size, width].
  [[nodiscard]] at::Tensor vectors() const;

  // The k nearest vectors of the `probes` lists whose centres are nearest; probes 0 = as the file says, usually 1.
  // queries [n, width]. Ties go to the lower number.
  [[nodiscard]] Neighbours search(const at::Tensor& queries, std::int64_t k = kIndexNeighbours,
                                  std::int64_t probes = 0) const;

  // features [n, width] -> rate * retrieved + (1 - rate) * features, where retrieved is the mean of 8 neighbours
  // weighed by 1 / distance^4. A frame that is itself in the index retrieves itself (the RVC tools make NaN of it); one
  // without any neighbour stays as it is. Equal frames in a row are looked up once.
  [[nodiscard]] at::Tensor blend(const at::Tensor& features, double rate) const;

 private:
  explicit FeatureIndex(const InvertedLists& lists);

  at::Tensor centres_;               // [lists, width]
  at::Tensor vectors_;               // [size, width], list after list
  at::Tensor rows_;                  // [size] int64, the number of each of them
  std::vector<std::int64_t> first_;  // [lists + 1], where each list begins
  std::int64_t probes_ = 1;
};

}  // namespace melisma
