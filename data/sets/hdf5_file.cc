#include "data/sets/hdf5_file.h"

#include <algorithm>
#include <numeric>

#include "data/sets/hdf5_handle.h"
#include "data/sets/hdf5_state.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;

std::int64_t Hdf5Info::count() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

namespace {

Hdf5Handle open_access() {
  silence_hdf5();
  Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  // Readers never wait for one another, and the ledger is written under a lock of our own (Dataset).
  H5Pset_file_locking(access.get(), false, true);
  return access;
}

// Closing the file closes what is still open in it.
Hdf5Handle open_file(const fs::path& path, unsigned mode) {
  const auto access = open_access();
  if (!fs::exists(path)) fail(ErrorKind::data, "there is no file '{}'", path.string());
  Hdf5Handle file(H5Fopen(path.c_str(), mode, access.get()), H5Fclose);
  if (!file.is_open()) {
    fail(ErrorKind::data, "'{}' cannot be opened as HDF5: {}", path.string(), hdf5_reason());
  }
  return file;
}

Hdf5Kind kind_of(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_ENUM:
      return Hdf5Kind::integer;
    case H5T_FLOAT:
      return Hdf5Kind::real;
    case H5T_STRING:
      return Hdf5Kind::text;
    case H5T_COMPOUND:
      return Hdf5Kind::table;
    case H5T_VLEN:
      return Hdf5Kind::lists;
    default:
      return Hdf5Kind::other;
  }
}

std::vector<std::string> columns_of(hid_t type) {
  std::vector<std::string> columns;
  if (H5Tget_class(type) != H5T_COMPOUND) return columns;
  for (int i = 0; i < H5Tget_nmembers(type); ++i) {
    char* name = H5Tget_member_name(type, static_cast<unsigned>(i));
    columns.emplace_back(name);
    H5free_memory(name);
  }
  return columns;
}

}  // namespace

Hdf5File::Hdf5File(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hdf5File::Hdf5File(Hdf5File&&) noexcept = default;
Hdf5File& Hdf5File::operator=(Hdf5File&&) noexcept = default;
Hdf5File::~Hdf5File() = default;

Hdf5File Hdf5File::open(const fs::path& path) {
  return Hdf5File(std::make_unique<State>(State{path, open_file(path, H5F_ACC_RDONLY)}));
}

Hdf5File Hdf5File::extend(const fs::path& path) {
  return Hdf5File(std::make_unique<State>(State{path, open_file(path, H5F_ACC_RDWR)}));
}

Hdf5File Hdf5File::create(const fs::path& path) {
  const auto access = open_access();
  Hdf5Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose);
  if (!file.is_open()) {
    const auto reason = hdf5_reason();
    if (const int code = hdf5_error_number(reason); code != 0) fail_to_write(path, code);
    fail(ErrorKind::device, "cannot create '{}': {}", path.string(), reason);
  }
  return Hdf5File(std::make_unique<State>(State{path, std::move(file)}));
}

const fs::path& Hdf5File::path() const { return state_->path; }

bool Hdf5File::has(std::string_view item) const {
  silence_hdf5();
  // H5Lexists needs every parent to exist: ask for one after the other.
  for (std::size_t end = item.find('/', 1); true; end = item.find('/', end + 1)) {
    const std::string part(item.substr(0, end));
    if (part != "/" && H5Lexists(state_->file.get(), part.c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == std::string_view::npos) break;
  }
  const std::string whole(item);
  const bool resolves = whole == "/" || H5Oexists_by_name(state_->file.get(), whole.c_str(), H5P_DEFAULT) > 0;
  H5Eclear2(H5E_DEFAULT);
  return resolves;
}

std::vector<std::string> Hdf5File::children(std::string_view group) const {
  silence_hdf5();
  const std::string name(group);
  Hdf5Handle opened(H5Gopen2(state_->file.get(), name.c_str(), H5P_DEFAULT), H5Gclose);
  if (!opened.is_open()) state_->fail_read(group, "no such group");
  std::vector<std::string> names;
  const auto note = [](hid_t, const char* child, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(child);
    return 0;
  };
  if (H5Literate(opened.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, note, &names) < 0) {
    state_->fail_read(group, hdf5_reason());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Hdf5Info Hdf5File::describe(std::string_view item) const {
  const auto dataset = state_->open_dataset(item);
  const Hdf5Handle type(H5Dget_type(dataset.get()), H5Tclose);
  const Hdf5Handle space(H5Dget_space(dataset.get()), H5Sclose);
  Hdf5Info info;
  info.kind = kind_of(type.get());
  info.shape = shape_of(space.get());
  info.columns = columns_of(type.get());
  info.element_bytes = static_cast<std::int64_t>(H5Tget_size(type.get()));
  info.stored_bytes = static_cast<std::int64_t>(H5Dget_storage_size(dataset.get()));
  return info;
}

std::int64_t Hdf5File::position_of(std::string_view item) const {
  const auto dataset = state_->open_dataset(item);
  const Hdf5Handle plan(H5Dget_create_plist(dataset.get()), H5Pclose);
  if (H5Pget_layout(plan.get()) != H5D_CONTIGUOUS) return -1;
  const haddr_t position = H5Dget_offset(dataset.get());
  return position == HADDR_UNDEF ? -1 : static_cast<std::int64_t>(position);
}

}  // namespace melisma
