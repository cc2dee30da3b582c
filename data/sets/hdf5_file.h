// A small typed door to HDF5 files, ours and other people's; the only place that speaks the HDF5 C API.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace melisma {

enum class Hdf5Kind {
  integer,  // any width, signedness and byte order; booleans and other enumerations too
  real,     // half, float, double, any byte order
  text,     // fixed or variable length
  table,    // a compound type: read its columns (h5py's complex numbers are the columns "r" and "i")
  lists,    // a variable-length list of numbers a row
  other,    // references, opaque bytes, arrays: not readable here
};

// What a dataset is, before any of it is read.
struct Hdf5Info {
  Hdf5Kind kind = Hdf5Kind::other;
  std::vector<std::int64_t> shape;   // empty for a scalar
  std::vector<std::string> columns;  // of a table
  std::int64_t element_bytes = 0;
  std::int64_t stored_bytes = 0;
  [[nodiscard]] std::int64_t count() const;
};

// An open file. Paths inside it are "/group/name"; links are followed. The library serialises calls, so one object may
// be read from several threads. Every failure is an Error(data), of writing an Error(device), that names the file, the
// item and the cause, a missing decompression filter included.
//
// Element types T: float, double, std::int8_t, std::uint8_t, std::int16_t, std::int32_t, std::int64_t; values are
// converted from whatever the file holds.
class Hdf5File {
 public:
  static Hdf5File open(const std::filesystem::path& path);
  // For writing: a new file (an old one is replaced), or more items in an existing one.
  static Hdf5File create(const std::filesystem::path& path);
  static Hdf5File extend(const std::filesystem::path& path);
  Hdf5File(Hdf5File&&) noexcept;
  Hdf5File& operator=(Hdf5File&&) noexcept;
  ~Hdf5File();

  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] bool has(std::string_view item) const;
  // Names in a group, sorted.
  [[nodiscard]] std::vector<std::string> children(std::string_view group) const;
  [[nodiscard]] Hdf5Info describe(std::string_view item) const;

  // All elements, row-major.
  template <class T>
  [[nodiscard]] std::vector<T> read(std::string_view item) const;
  // Rows [first, first + count) of the first dimension.
  template <class T>
  [[nodiscard]] std::vector<T> read_rows(std::string_view item, std::int64_t first, std::int64_t count) const;
  // One column of a table.
  template <class T>
  [[nodiscard]] std::vector<T> read_column(std::string_view item, const std::string& column) const;
  [[nodiscard]] std::vector<std::string> read_text(std::string_view item) const;
  [[nodiscard]] std::vector<std::string> read_text_column(std::string_view item, const std::string& column) const;
  [[nodiscard]] std::vector<std::vector<std::int64_t>> read_lists(std::string_view item) const;

  // Attributes of an item ("/" is the file itself). A null dataspace reads as no values.
  [[nodiscard]] bool has_attribute(std::string_view item, const std::string& name) const;
  [[nodiscard]] std::vector<std::string> attribute_names(std::string_view item) const;
  template <class T>
  [[nodiscard]] std::vector<T> attribute(std::string_view item, const std::string& name) const;
  [[nodiscard]] std::vector<std::string> attribute_texts(std::string_view item, const std::string& name) const;
  // The one value of a scalar attribute.
  [[nodiscard]] std::int64_t attribute_integer(std::string_view item, const std::string& name) const;
  [[nodiscard]] std::string attribute_text(std::string_view item, const std::string& name) const;

  // Groups on the way are made. Arrays are contiguous and of fixed size; reserve() makes one to be filled in parts.
  void make_group(std::string_view group);
  template <class T>
  void write(std::string_view item, std::span<const T> values, std::span<const std::int64_t> shape);
  template <class T>
  void write(std::string_view item, std::span<const T> values);
  template <class T>
  void reserve(std::string_view item, std::span<const std::int64_t> shape);
  template <class T>
  void write_rows(std::string_view item, std::int64_t first, std::span<const T> values);
  void write_text(std::string_view item, std::span<const std::string> values);
  // Zero-padded text of fixed width whose place in the file never changes (see position_of).
  void reserve_fixed_text(std::string_view item, std::int64_t rows, std::int64_t width);
  void set_attribute(std::string_view item, const std::string& name, std::int64_t value);
  void set_attribute(std::string_view item, const std::string& name, const std::string& value);
  void set_real_attribute(std::string_view item, const std::string& name, double value);
  void flush();

  // Byte position in the file of a contiguous array; -1 if it is stored in chunks.
  [[nodiscard]] std::int64_t position_of(std::string_view item) const;

  struct State;  // hdf5_state.h

 private:
  explicit Hdf5File(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace melisma
