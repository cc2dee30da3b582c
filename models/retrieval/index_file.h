// Index files in faiss's IVF-Flat layout, as the RVC tools write and read them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

namespace melisma {

// Vectors sorted into lists by their nearest centre (squared Euclidean distance).
struct InvertedLists {
  std::int64_t width = 0;
  std::int64_t probes = 1;                      // lists a search looks into, as stored
  std::vector<float> centres;                   // [lists][width]
  std::vector<std::vector<float>> vectors;      // of each list: [size][width]
  std::vector<std::vector<std::int64_t>> rows;  // of each list: the vectors' numbers, 0 ... n - 1, each once

  [[nodiscard]] std::int64_t n_lists() const { return static_cast<std::int64_t>(rows.size()); }
  [[nodiscard]] std::int64_t n_vectors() const;
};

// Layout: faiss, index_write.cpp ("IwFl" over "IxF2", inverted lists "ilar" full or sparse), little-endian.
// Throws Error(checkpoint) that says what is wrong and where; allocates no more than the file holds.
[[nodiscard]] InvertedLists read_index_file(const std::filesystem::path& path);

// Written atomically; faiss 1.7 and later read it.
void write_index_file(const std::filesystem::path& path, const InvertedLists& lists);

}  // namespace melisma
