#include "infer/features/recording_pieces.h"

#include <algorithm>
#include <cmath>

namespace melisma {
namespace recording_pieces_detail {
namespace {

// Mean magnitude over 100 ms around each row.
std::vector<double> levels(std::span<const float> wave, std::int64_t n_rows) {
  constexpr std::int64_t kAround = 2;
  std::vector<double> sums(static_cast<std::size_t>(n_rows) + 1);  // of all rows before
  for (std::int64_t row = 0; row < n_rows; ++row) {
    double sum = 0;
    const auto first = row * kRowSamples, last = std::min(first + kRowSamples, std::ssize(wave));
    for (auto i = first; i < last; ++i) sum += std::abs(wave[static_cast<std::size_t>(i)]);
    sums[static_cast<std::size_t>(row) + 1] = sums[static_cast<std::size_t>(row)] + sum;
  }
  std::vector<double> levels(static_cast<std::size_t>(n_rows));
  for (std::int64_t row = 0; row < n_rows; ++row) {
    const auto first = std::max<std::int64_t>(0, row - kAround), last = std::min(n_rows, row + kAround + 1);
    levels[static_cast<std::size_t>(row)] =
        (sums[static_cast<std::size_t>(last)] - sums[static_cast<std::size_t>(first)]) /
        static_cast<double>(last - first);
  }
  return levels;
}

}  // namespace
}  // namespace recording_pieces_detail

std::vector<Chunk> recording_pieces(std::span<const float> wave_16k, std::int64_t n_rows) {
  std::vector<Chunk> pieces;
  const auto level = n_rows > kWholeRows ? recording_pieces_detail::levels(wave_16k, n_rows) : std::vector<double>();
  std::int64_t first = 0;
  while (first < n_rows) {
    auto last = n_rows;
    if (n_rows - first > kWholeRows) {
      const auto from = level.begin() + first + kPieceRows - kSearchRows;
      const auto to = level.begin() + std::min(first + kPieceRows + kSearchRows, n_rows - kContextRows);
      last = std::min_element(from, to) - level.begin();
    }
    pieces.push_back(
        {{first, last}, {std::max<std::int64_t>(0, first - kContextRows), std::min(n_rows, last + kContextRows)}});
    first = last;
  }
  return pieces;
}

}  // namespace melisma
