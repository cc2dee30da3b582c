// NumPy's .npy arrays and .npz archives: read and written as the format description of numpy.lib.format says.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace melisma {

// An array as stored, but always little-endian and in C order whatever the file had.
struct NpyArray {
  std::string type;  // "f2" "f4" "f8" "i1" "i2" "i4" "i8" "u1" "u2" "u4" "u8" "b1" "c8" "c16"
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;

  [[nodiscard]] std::int64_t count() const;
  // All elements as T (float, double, std::int64_t); complex ones as pairs real, imaginary.
  template <class T>
  [[nodiscard]] std::vector<T> values() const;
};

// Throws Error(data) naming the file and what is wrong with it: damaged, cut short, of a later version, or holding
// Python objects (which would run code when loaded).
[[nodiscard]] NpyArray read_npy(const std::filesystem::path& path);
// The same from memory; `name` stands in error messages.
[[nodiscard]] NpyArray parse_npy(std::span<const std::byte> file, std::string_view name);

// The members of an .npz in file order, names without ".npy".
[[nodiscard]] std::vector<std::pair<std::string, NpyArray>> read_npz(const std::filesystem::path& path);

// Writes version 1.0, C order, atomically. T: float, double, std::int16_t, std::int32_t, std::int64_t, std::uint8_t.
template <class T>
void write_npy(const std::filesystem::path& path, std::span<const T> values, std::span<const std::int64_t> shape);

}  // namespace melisma
