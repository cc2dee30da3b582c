#include <algorithm>

#include "data/sets/hdf5_state.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

// Groups on the way to an item are made; no time stamps, so that equal content gives equal bytes.
Hdf5Handle make_parents() {
  Hdf5Handle plan(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(plan.get(), 1);
  return plan;
}

Hdf5Handle contiguous_plan() {
  Hdf5Handle plan(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_layout(plan.get(), H5D_CONTIGUOUS);
  H5Pset_obj_track_times(plan.get(), false);
  return plan;
}

Hdf5Handle space_of(std::span<const std::int64_t> shape) {
  if (shape.empty()) return {H5Screate(H5S_SCALAR), H5Sclose};
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  return {H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose};
}

Hdf5Handle utf8_text() {
  Hdf5Handle text(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(text.get(), H5T_VARIABLE);
  H5Tset_cset(text.get(), H5T_CSET_UTF8);
  return text;
}

Hdf5Handle make_dataset(const Hdf5File::State& state, std::string_view item, hid_t type, const Hdf5Handle& space,
                        const Hdf5Handle& plan) {
  silence_hdf5();
  const std::string name(item);
  const auto parents = make_parents();
  Hdf5Handle dataset(
      H5Dcreate2(state.file.get(), name.c_str(), type, space.get(), parents.get(), plan.get(), H5P_DEFAULT), H5Dclose);
  if (!dataset.is_open()) state.fail_write(item);
  return dataset;
}

void set_attribute_value(const Hdf5File::State& state, std::string_view item, const std::string& name, hid_t type,
                         const void* value) {
  silence_hdf5();
  const std::string owner(item);
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  if (H5Aexists_by_name(state.file.get(), owner.c_str(), name.c_str(), H5P_DEFAULT) > 0) {
    H5Adelete_by_name(state.file.get(), owner.c_str(), name.c_str(), H5P_DEFAULT);
  }
  const Hdf5Handle attribute(H5Acreate_by_name(state.file.get(), owner.c_str(), name.c_str(), type, space.get(),
                                               H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose);
  if (!attribute.is_open() || H5Awrite(attribute.get(), type, value) < 0) state.fail_write(owner + "@" + name);
}

}  // namespace

void Hdf5File::State::fail_write(std::string_view item) const {
  const auto reason = hdf5_reason();
  if (const int code = hdf5_error_number(reason); code != 0) fail_to_write(path, code);
  fail(ErrorKind::device, "cannot write '{}' to '{}': {}", item, path.string(), reason);
}

void Hdf5File::make_group(std::string_view group) {
  silence_hdf5();
  if (has(group)) return;
  const auto parents = make_parents();
  const Hdf5Handle made(
      H5Gcreate2(state_->file.get(), std::string(group).c_str(), parents.get(), H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (!made.is_open()) state_->fail_write(group);
}

template <class T>
void Hdf5File::write(std::string_view item, std::span<const T> values, std::span<const std::int64_t> shape) {
  const auto dataset = make_dataset(*state_, item, hdf5_native<T>(), space_of(shape), contiguous_plan());
  if (!values.empty() && H5Dwrite(dataset.get(), hdf5_native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    state_->fail_write(item);
  }
}

template <class T>
void Hdf5File::write(std::string_view item, std::span<const T> values) {
  const std::int64_t shape[] = {static_cast<std::int64_t>(values.size())};
  write<T>(item, values, shape);
}

template <class T>
void Hdf5File::reserve(std::string_view item, std::span<const std::int64_t> shape) {
  const auto plan = contiguous_plan();
  H5Pset_fill_time(plan.get(), H5D_FILL_TIME_NEVER);
  make_dataset(*state_, item, hdf5_native<T>(), space_of(shape), plan);
}

template <class T>
void Hdf5File::write_rows(std::string_view item, std::int64_t first, std::span<const T> values) {
  if (values.empty()) return;
  const auto dataset = state_->open_dataset(item);
  const Hdf5Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const auto shape = shape_of(space.get());
  std::vector<hsize_t> start(shape.size(), 0), extent(shape.begin(), shape.end());
  hsize_t row = 1;
  for (std::size_t i = 1; i < extent.size(); ++i) row *= extent[i];
  start[0] = static_cast<hsize_t>(first);
  extent[0] = values.size() / row;
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr);
  const Hdf5Handle memory(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), H5Sclose);
  if (H5Dwrite(dataset.get(), hdf5_native<T>(), memory.get(), space.get(), H5P_DEFAULT, values.data()) < 0) {
    state_->fail_write(item);
  }
}

void Hdf5File::write_text(std::string_view item, std::span<const std::string> values) {
  const std::int64_t shape[] = {static_cast<std::int64_t>(values.size())};
  const auto type = utf8_text();
  const auto dataset = make_dataset(*state_, item, type.get(), space_of(shape), contiguous_plan());
  std::vector<const char*> pointers;
  for (const auto& value : values) pointers.push_back(value.c_str());
  if (!pointers.empty() && H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) < 0) {
    state_->fail_write(item);
  }
}

void Hdf5File::reserve_fixed_text(std::string_view item, std::int64_t rows, std::int64_t width) {
  const Hdf5Handle text(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(text.get(), static_cast<std::size_t>(width));
  H5Tset_strpad(text.get(), H5T_STR_NULLPAD);
  H5Tset_cset(text.get(), H5T_CSET_UTF8);
  const auto plan = contiguous_plan();
  H5Pset_alloc_time(plan.get(), H5D_ALLOC_TIME_EARLY);
  const std::int64_t shape[] = {rows};
  make_dataset(*state_, item, text.get(), space_of(shape), plan);
}

void Hdf5File::set_attribute(std::string_view item, const std::string& name, std::int64_t value) {
  set_attribute_value(*state_, item, name, H5T_NATIVE_INT64, &value);
}

void Hdf5File::set_attribute(std::string_view item, const std::string& name, const std::string& value) {
  const auto type = utf8_text();
  const char* text = value.c_str();
  set_attribute_value(*state_, item, name, type.get(), &text);
}

void Hdf5File::set_real_attribute(std::string_view item, const std::string& name, double value) {
  set_attribute_value(*state_, item, name, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5File::flush() {
  silence_hdf5();
  if (H5Fflush(state_->file.get(), H5F_SCOPE_GLOBAL) < 0) state_->fail_write("/");
}

#define MELISMA_HDF5_WRITE(T)                                                                            \
  template void Hdf5File::write<T>(std::string_view, std::span<const T>, std::span<const std::int64_t>); \
  template void Hdf5File::write<T>(std::string_view, std::span<const T>);                                \
  template void Hdf5File::reserve<T>(std::string_view, std::span<const std::int64_t>);                   \
  template void Hdf5File::write_rows<T>(std::string_view, std::int64_t, std::span<const T>);
MELISMA_HDF5_WRITE(float)
MELISMA_HDF5_WRITE(double)
MELISMA_HDF5_WRITE(std::int8_t)
MELISMA_HDF5_WRITE(std::uint8_t)
MELISMA_HDF5_WRITE(std::int16_t)
MELISMA_HDF5_WRITE(std::int32_t)
MELISMA_HDF5_WRITE(std::int64_t)
#undef MELISMA_HDF5_WRITE

}  // namespace melisma
