#include <algorithm>
#include <cstring>
#include <functional>

#include "data/sets/hdf5_state.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

// Fills a buffer of the given memory type with every selected element; negative when the library fails.
using ReadAs = std::function<herr_t(hid_t memory_type, void* buffer)>;

// What is read: the element type in the file, the column of a table it is (or ""), how many elements, and how.
// The functions below throw std::string, the reason, when that fails; `reading` makes it the error about an item.
struct Source {
  Hdf5Handle type;
  std::string column;
  Hdf5Handle space;
  ReadAs read;

  [[nodiscard]] std::size_t count() const {
    if (H5Sget_simple_extent_type(space.get()) == H5S_NULL) return 0;
    return static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.get()));
  }
  // `inner` as the library wants it in memory: alone, or as the only member of a compound.
  [[nodiscard]] Hdf5Handle in_memory(hid_t inner) const {
    if (column.empty()) return {H5Tcopy(inner), H5Tclose};
    Hdf5Handle compound(H5Tcreate(H5T_COMPOUND, H5Tget_size(inner)), H5Tclose);
    H5Tinsert(compound.get(), column.c_str(), 0, inner);
    return compound;
  }
  void fill(hid_t inner, void* buffer) const {
    const auto memory = in_memory(inner);
    if (read(memory.get(), buffer) < 0) throw hdf5_reason();
  }
};

template <class T>
std::vector<T> numbers_of(const Source& source) {
  const auto kind = H5Tget_class(source.type.get());
  if (kind != H5T_INTEGER && kind != H5T_FLOAT && kind != H5T_ENUM) throw std::string("it holds no numbers");
  std::vector<T> values(source.count());
  if (!values.empty()) source.fill(hdf5_native<T>(), values.data());
  return values;
}

std::vector<std::string> fixed_texts_of(const Source& source) {
  // One byte more than stored, so that a text that fills its width keeps its last letter.
  const std::size_t width = H5Tget_size(source.type.get()) + 1;
  const Hdf5Handle text(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(text.get(), width);
  H5Tset_cset(text.get(), H5Tget_cset(source.type.get()));
  std::vector<char> bytes(width * source.count(), '\0');
  if (!bytes.empty()) source.fill(text.get(), bytes.data());
  std::vector<std::string> values;
  for (const char* at = bytes.data(); values.size() < source.count(); at += width) {
    values.emplace_back(at, strnlen(at, width));
  }
  return values;
}

std::vector<std::string> variable_texts_of(const Source& source) {
  const Hdf5Handle text(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(text.get(), H5T_VARIABLE);
  H5Tset_cset(text.get(), H5Tget_cset(source.type.get()));
  std::vector<char*> pointers(source.count(), nullptr);
  if (!pointers.empty()) source.fill(text.get(), pointers.data());
  std::vector<std::string> values;
  for (char* pointer : pointers) {
    values.emplace_back(pointer == nullptr ? "" : pointer);
    H5free_memory(pointer);
  }
  return values;
}

std::vector<std::string> texts_of(const Source& source) {
  if (H5Tget_class(source.type.get()) != H5T_STRING) throw std::string("it holds no text");
  return H5Tis_variable_str(source.type.get()) > 0 ? variable_texts_of(source) : fixed_texts_of(source);
}

std::vector<std::vector<std::int64_t>> lists_of(const Source& source) {
  const Hdf5Handle inner(H5Tget_super(source.type.get()), H5Tclose);
  if (H5Tget_class(source.type.get()) != H5T_VLEN || H5Tget_class(inner.get()) != H5T_INTEGER) {
    throw std::string("it holds no lists of whole numbers");
  }
  const Hdf5Handle memory(H5Tvlen_create(H5T_NATIVE_INT64), H5Tclose);
  std::vector<hvl_t> rows(source.count());
  if (!rows.empty()) source.fill(memory.get(), rows.data());
  std::vector<std::vector<std::int64_t>> lists;
  for (const auto& row : rows) {
    const auto* values = static_cast<const std::int64_t*>(row.p);
    lists.emplace_back(values, values + row.len);
  }
  if (!rows.empty()) H5Dvlen_reclaim(memory.get(), source.space.get(), H5P_DEFAULT, rows.data());
  return lists;
}

template <class Read>
auto reading(const Hdf5File::State& state, std::string_view item, Read&& read) {
  try {
    return read();
  } catch (const std::string& reason) {
    state.fail_read(item, reason);
  }
}

Source whole(const Hdf5Handle& dataset) {
  return {Hdf5Handle(H5Dget_type(dataset.get()), H5Tclose), "", Hdf5Handle(H5Dget_space(dataset.get()), H5Sclose),
          [id = dataset.get()](hid_t memory, void* out) {
            return H5Dread(id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
          }};
}

Source column_of(const Hdf5Handle& dataset, const std::string& column) {
  auto source = whole(dataset);
  const bool is_table = H5Tget_class(source.type.get()) == H5T_COMPOUND;
  const int index = is_table ? H5Tget_member_index(source.type.get(), column.c_str()) : -1;
  if (index < 0) throw "it has no column '" + column + "'";
  source.type = Hdf5Handle(H5Tget_member_type(source.type.get(), static_cast<unsigned>(index)), H5Tclose);
  source.column = column;
  return source;
}

// The name under which people know a filter number that this library may lack.
std::string filter_name(H5Z_filter_t filter, const std::string& stored_name) {
  if (!stored_name.empty()) return stored_name;
  if (filter == 32000) return "lzf";
  if (filter == 32001) return "blosc";
  if (filter == 32004) return "lz4";
  if (filter == 32015) return "zstd";
  return "unnamed";
}

void check_filters(const Hdf5File::State& state, const Hdf5Handle& dataset, std::string_view item) {
  const Hdf5Handle plan(H5Dget_create_plist(dataset.get()), H5Pclose);
  for (int i = 0; i < H5Pget_nfilters(plan.get()); ++i) {
    unsigned flags = 0, config = 0;
    std::size_t n_values = 0;
    char name[64] = "";
    const auto filter =
        H5Pget_filter2(plan.get(), static_cast<unsigned>(i), &flags, &n_values, nullptr, sizeof name, name, &config);
    if (H5Zfilter_avail(filter) > 0) continue;
    state.fail_read(item, fmt::format("it is compressed with HDF5 filter {} ({}), which is not installed here; where "
                                      "it is, rewrite the file with: h5repack -f GZIP=4 IN OUT",
                                      filter, filter_name(filter, name)));
  }
}

struct Attribute {
  Hdf5Handle handle;
  [[nodiscard]] Source source() const {
    return {Hdf5Handle(H5Aget_type(handle.get()), H5Tclose), "", Hdf5Handle(H5Aget_space(handle.get()), H5Sclose),
            [id = handle.get()](hid_t memory, void* out) { return H5Aread(id, memory, out); }};
  }
};

Attribute open_attribute(const Hdf5File::State& state, std::string_view item, const std::string& name) {
  silence_hdf5();
  const std::string owner(item);
  Attribute attribute{
      {H5Aopen_by_name(state.file.get(), owner.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose}};
  if (!attribute.handle.is_open()) {
    H5Eclear2(H5E_DEFAULT);
    state.fail_read(item, "it has no attribute '" + name + "'");
  }
  return attribute;
}

}  // namespace

std::vector<std::int64_t> shape_of(hid_t space) {
  if (H5Sget_simple_extent_type(space) == H5S_NULL) return {0};
  std::vector<hsize_t> sizes(static_cast<std::size_t>(std::max(H5Sget_simple_extent_ndims(space), 0)));
  if (!sizes.empty()) H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  return {sizes.begin(), sizes.end()};
}

void Hdf5File::State::fail_read(std::string_view item, std::string_view why) const {
  fail(ErrorKind::data, "cannot read '{}' in '{}': {}", item, path.string(), why);
}

Hdf5Handle Hdf5File::State::open_dataset(std::string_view item) const {
  silence_hdf5();
  const std::string name(item);
  Hdf5Handle dataset(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.is_open()) fail_read(item, hdf5_reason());
  return dataset;
}

template <class T>
std::vector<T> Hdf5File::read(std::string_view item) const {
  const auto dataset = state_->open_dataset(item);
  check_filters(*state_, dataset, item);
  return reading(*state_, item, [&] { return numbers_of<T>(whole(dataset)); });
}

template <class T>
std::vector<T> Hdf5File::read_rows(std::string_view item, std::int64_t first, std::int64_t count) const {
  const auto dataset = state_->open_dataset(item);
  check_filters(*state_, dataset, item);
  const Hdf5Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const auto shape = shape_of(space.get());
  if (shape.empty() || first < 0 || count < 0 || first > shape[0] - count) {
    state_->fail_read(item, fmt::format("rows {} to {} were asked for, but it has {}", first, first + count,
                                        shape.empty() ? 0 : shape[0]));
  }
  std::vector<hsize_t> start(shape.size(), 0), extent(shape.begin(), shape.end());
  start[0] = static_cast<hsize_t>(first);
  extent[0] = static_cast<hsize_t>(count);
  std::size_t elements = 1;
  for (const auto size : extent) elements *= static_cast<std::size_t>(size);
  std::vector<T> values(elements);
  if (elements == 0) return values;
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr);
  const Hdf5Handle memory(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), H5Sclose);
  if (H5Dread(dataset.get(), hdf5_native<T>(), memory.get(), space.get(), H5P_DEFAULT, values.data()) < 0) {
    state_->fail_read(item, hdf5_reason());
  }
  return values;
}

template <class T>
std::vector<T> Hdf5File::read_column(std::string_view item, const std::string& column) const {
  const auto dataset = state_->open_dataset(item);
  check_filters(*state_, dataset, item);
  return reading(*state_, item, [&] { return numbers_of<T>(column_of(dataset, column)); });
}

std::vector<std::string> Hdf5File::read_text(std::string_view item) const {
  const auto dataset = state_->open_dataset(item);
  check_filters(*state_, dataset, item);
  return reading(*state_, item, [&] { return texts_of(whole(dataset)); });
}

std::vector<std::string> Hdf5File::read_text_column(std::string_view item, const std::string& column) const {
  const auto dataset = state_->open_dataset(item);
  check_filters(*state_, dataset, item);
  return reading(*state_, item, [&] { return texts_of(column_of(dataset, column)); });
}

std::vector<std::vector<std::int64_t>> Hdf5File::read_lists(std::string_view item) const {
  const auto dataset = state_->open_dataset(item);
  check_filters(*state_, dataset, item);
  return reading(*state_, item, [&] { return lists_of(whole(dataset)); });
}

bool Hdf5File::has_attribute(std::string_view item, const std::string& name) const {
  silence_hdf5();
  return has(item) && H5Aexists_by_name(state_->file.get(), std::string(item).c_str(), name.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> Hdf5File::attribute_names(std::string_view item) const {
  silence_hdf5();
  std::vector<std::string> names;
  const auto note = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  if (H5Aiterate_by_name(state_->file.get(), std::string(item).c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr, note,
                         &names, H5P_DEFAULT) < 0) {
    state_->fail_read(item, hdf5_reason());
  }
  return names;
}

template <class T>
std::vector<T> Hdf5File::attribute(std::string_view item, const std::string& name) const {
  const auto opened = open_attribute(*state_, item, name);
  return reading(*state_, std::string(item) + "@" + name, [&] { return numbers_of<T>(opened.source()); });
}

std::vector<std::string> Hdf5File::attribute_texts(std::string_view item, const std::string& name) const {
  const auto opened = open_attribute(*state_, item, name);
  return reading(*state_, std::string(item) + "@" + name, [&] { return texts_of(opened.source()); });
}

std::int64_t Hdf5File::attribute_integer(std::string_view item, const std::string& name) const {
  const auto values = attribute<std::int64_t>(item, name);
  if (values.size() != 1) state_->fail_read(item, "attribute '" + name + "' is not one number");
  return values.front();
}

std::string Hdf5File::attribute_text(std::string_view item, const std::string& name) const {
  const auto values = attribute_texts(item, name);
  if (values.size() != 1) state_->fail_read(item, "attribute '" + name + "' is not one text");
  return values.front();
}

#define MELISMA_HDF5_READ(T)                                                                          \
  template std::vector<T> Hdf5File::read<T>(std::string_view) const;                                  \
  template std::vector<T> Hdf5File::read_rows<T>(std::string_view, std::int64_t, std::int64_t) const; \
  template std::vector<T> Hdf5File::read_column<T>(std::string_view, const std::string&) const;       \
  template std::vector<T> Hdf5File::attribute<T>(std::string_view, const std::string&) const;
MELISMA_HDF5_READ(float)
MELISMA_HDF5_READ(double)
MELISMA_HDF5_READ(std::int8_t)
MELISMA_HDF5_READ(std::uint8_t)
MELISMA_HDF5_READ(std::int16_t)
MELISMA_HDF5_READ(std::int32_t)
MELISMA_HDF5_READ(std::int64_t)
#undef MELISMA_HDF5_READ

}  // namespace melisma
