// RAII for HDF5 identifiers and the library's own account of a failure; only for the .cc files of this folder.
#pragma once
#include <hdf5.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace melisma {

// An identifier and the function that closes it; empty when negative.
class Hdf5Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Closer closer) : id_(id), closer_(closer) {}
  ~Hdf5Handle() { close(); }
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), closer_(other.closer_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    if (this != &other) {
      close();
      id_ = std::exchange(other.id_, -1);
      closer_ = other.closer_;
    }
    return *this;
  }
  [[nodiscard]] hid_t get() const { return id_; }
  [[nodiscard]] bool is_open() const { return id_ >= 0; }
  // Negative if the library reports a failure (a delayed write, say).
  herr_t close() {
    const herr_t result = id_ >= 0 ? closer_(id_) : 0;
    id_ = -1;
    return result;
  }

 private:
  hid_t id_ = -1;
  Closer closer_ = nullptr;
};

// The library prints its error stack on stderr unless told not to, for each thread.
inline void silence_hdf5() {
  thread_local const bool done = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  (void)done;
}

// The innermost cause on the library's error stack ("required filter 'lzf' is not registered"); clears the stack.
inline std::string hdf5_reason() {
  std::string reason;
  const auto note = [](unsigned, const H5E_error2_t* entry, void* out) -> herr_t {
    auto& text = *static_cast<std::string*>(out);
    if (text.empty() && entry->desc != nullptr) text = entry->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note, &reason);
  H5Eclear2(H5E_DEFAULT);
  return reason.empty() ? "the HDF5 library gives no reason" : reason;
}

// The operating system's error number that a reason tells of ("..., errno = 28, ..."); 0 if it tells of none.
inline int hdf5_error_number(const std::string& reason) {
  constexpr std::string_view kSign = "errno = ";
  const auto at = reason.find(kSign);
  return at == std::string::npos ? 0 : std::atoi(reason.c_str() + at + kSign.size());
}

// In-memory types of our element types.
template <class T>
hid_t hdf5_native();
template <>
inline hid_t hdf5_native<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
inline hid_t hdf5_native<double>() {
  return H5T_NATIVE_DOUBLE;
}
template <>
inline hid_t hdf5_native<std::int8_t>() {
  return H5T_NATIVE_INT8;
}
template <>
inline hid_t hdf5_native<std::uint8_t>() {
  return H5T_NATIVE_UINT8;
}
template <>
inline hid_t hdf5_native<std::int16_t>() {
  return H5T_NATIVE_INT16;
}
template <>
inline hid_t hdf5_native<std::int32_t>() {
  return H5T_NATIVE_INT32;
}
template <>
inline hid_t hdf5_native<std::int64_t>() {
  return H5T_NATIVE_INT64;
}

}  // namespace melisma
