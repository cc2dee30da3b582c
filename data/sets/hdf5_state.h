// What an open HDF5 file is inside; only for the .cc files of this folder.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/hdf5_file.h"
#include "data/sets/hdf5_handle.h"

namespace melisma {

struct Hdf5File::State {
  std::filesystem::path path;
  Hdf5Handle file;

  [[noreturn]] void fail_read(std::string_view item, std::string_view why) const;
  [[noreturn]] void fail_write(std::string_view item) const;
  // The dataset `item`, its filters checked; throws Error(data).
  [[nodiscard]] Hdf5Handle open_dataset(std::string_view item) const;
};

[[nodiscard]] std::vector<std::int64_t> shape_of(hid_t space);

}  // namespace melisma
