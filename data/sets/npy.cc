#include "data/sets/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr std::array<std::string_view, 14> kTypes{"f2", "f4", "f8", "i1", "i2", "i4", "i8",
                                                  "u1", "u2", "u4", "u8", "b1", "c8", "c16"};

struct Header {
  std::string type;
  bool big_endian = false, fortran_order = false;
  std::vector<std::int64_t> shape;
};

// Reads the Python dict of a header: three keys in any order, values a string, a bool, a tuple of whole numbers.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  Header parse() {
    bool has_type = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const auto key = quoted();
      expect(':');
      if (key == "descr") {
        read_type();
        has_type = true;
      } else if (key == "fortran_order") {
        header_.fortran_order = boolean();
        has_order = true;
      } else if (key == "shape") {
        read_shape();
        has_shape = true;
      } else {
        refuse("its header has the unknown key '" + key + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!has_type) refuse("its header has no 'descr'");
    if (!has_order) refuse("its header has no 'fortran_order'");
    if (!has_shape) refuse("its header has no 'shape'");
    return header_;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    fail(ErrorKind::data, "'{}' is not a readable .npy file: {}", name_, why);
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) refuse(std::string("its header is not a dict: expected '") + wanted + "'");
  }
  std::string quoted() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : ' ';
    if (quote != '\'' && quote != '"') refuse("its header is not a dict: expected a quoted name");
    const auto end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) refuse("its header ends inside a name");
    const auto value = std::string(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    refuse("'fortran_order' is neither True nor False");
  }
  void read_type() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[') refuse("it holds records, not plain numbers");
    const auto text = quoted();
    if (text.size() < 2 || std::string_view("<>|=").find(text[0]) == std::string_view::npos) {
      refuse("its element type '" + text + "' is unknown");
    }
    header_.big_endian = text[0] == '>';
    header_.type = text.substr(1);
    if (header_.type.starts_with('O')) refuse("it holds Python objects, which could run code when loaded");
    if (std::find(kTypes.begin(), kTypes.end(), header_.type) == kTypes.end()) {
      refuse("its element type '" + text + "' is not a number that is read here");
    }
  }
  void read_shape() {
    expect('(');
    while (!accept(')')) {
      header_.shape.push_back(whole_number());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
  }
  std::int64_t whole_number() {
    skip_space();
    std::int64_t value = 0;
    const auto start = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (value > (INT64_MAX - 9) / 10) refuse("its shape is too large");
      value = value * 10 + (text_[at_] - '0');
    }
    if (at_ == start) refuse("its shape has an entry that is not a whole number of at least 0");
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote long integers so
    return value;
  }

  std::string_view text_, name_;
  std::size_t at_ = 0;
  Header header_;
};

std::size_t item_size(std::string_view type) {
  return static_cast<std::size_t>(std::stoi(std::string(type.substr(1))));
}

// Bytes of `shape` elements, nothing if that overflows.
std::optional<std::size_t> size_of(const std::vector<std::int64_t>& shape, std::size_t item) {
  std::size_t total = item;
  for (const auto size : shape) {
    if (__builtin_mul_overflow(total, static_cast<std::size_t>(size), &total)) return std::nullopt;
  }
  return total;
}

// Element k of the C-ordered array is element order[k] of the file's column-major one.
std::vector<std::byte> to_c_order(const std::vector<std::byte>& source, const std::vector<std::int64_t>& shape,
                                  std::size_t item) {
  std::vector<std::byte> out(source.size());
  std::vector<std::int64_t> index(shape.size(), 0), stride(shape.size(), 1);
  for (std::size_t d = 1; d < shape.size(); ++d) stride[d] = stride[d - 1] * shape[d - 1];
  for (std::size_t k = 0; k * item < source.size(); ++k) {
    std::int64_t from = 0;
    for (std::size_t d = 0; d < shape.size(); ++d) from += index[d] * stride[d];
    std::memcpy(out.data() + k * item, source.data() + static_cast<std::size_t>(from) * item, item);
    for (std::size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
  return out;
}

void swap_bytes(std::vector<std::byte>& bytes, std::size_t unit) {
  for (std::size_t at = 0; at + unit <= bytes.size(); at += unit) std::reverse(&bytes[at], &bytes[at] + unit);
}

float half_to_float(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const auto mantissa = static_cast<float>(bits & 1023);
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(mantissa + 1024, exponent - 25);
}

template <class Stored, class T>
void convert(const std::vector<std::byte>& bytes, std::vector<T>& out) {
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Stored)) {
    Stored value;
    std::memcpy(&value, &bytes[at], sizeof value);
    out.push_back(static_cast<T>(value));
  }
}

}  // namespace

std::int64_t NpyArray::count() const {
  std::int64_t total = 1;
  for (const auto size : shape) total *= size;
  return total;
}

template <class T>
std::vector<T> NpyArray::values() const {
  std::vector<T> out;
  if (type == "f4" || type == "c8") convert<float>(bytes, out);
  if (type == "f8" || type == "c16") convert<double>(bytes, out);
  if (type == "i1") convert<std::int8_t>(bytes, out);
  if (type == "i2") convert<std::int16_t>(bytes, out);
  if (type == "i4") convert<std::int32_t>(bytes, out);
  if (type == "i8") convert<std::int64_t>(bytes, out);
  if (type == "u1" || type == "b1") convert<std::uint8_t>(bytes, out);
  if (type == "u2") convert<std::uint16_t>(bytes, out);
  if (type == "u4") convert<std::uint32_t>(bytes, out);
  if (type == "u8") convert<std::uint64_t>(bytes, out);
  if (type == "f2") {
    std::vector<std::uint16_t> halves;
    convert<std::uint16_t>(bytes, halves);
    for (const auto half : halves) out.push_back(static_cast<T>(half_to_float(half)));
  }
  return out;
}
template std::vector<float> NpyArray::values<float>() const;
template std::vector<double> NpyArray::values<double>() const;
template std::vector<std::int64_t> NpyArray::values<std::int64_t>() const;

NpyArray parse_npy(std::span<const std::byte> file, std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    fail(ErrorKind::data, "'{}' is not a readable .npy file: {}", name, why);
  };
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(file[at]); };
  if (file.size() < 10 || std::memcmp(file.data(), "\x93NUMPY", 6) != 0) refuse("it does not begin as one");
  const auto version = byte(6);
  if (version < 1 || version > 3) refuse(fmt::format("its version {} is not 1, 2 or 3", version));
  const std::size_t prefix = version == 1 ? 10 : 12;
  if (file.size() < prefix) refuse("it ends inside its header");
  std::size_t header_size = byte(8) | byte(9) << 8;
  if (version > 1) header_size |= byte(10) << 16 | byte(11) << 24;
  if (file.size() - prefix < header_size) refuse("it ends inside its header");
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + prefix, header_size);
  const auto header = HeaderParser(text, name).parse();
  const auto item = item_size(header.type);
  const auto size = size_of(header.shape, item);
  const auto stored = file.size() - prefix - header_size;
  if (!size || *size > stored) {
    refuse(fmt::format("its shape asks for {} bytes, but {} follow the header",
                       size ? std::to_string(*size) : "more than 2^64", stored));
  }
  NpyArray array{header.type, header.shape, {}};
  const auto data = file.subspan(prefix + header_size, *size);
  array.bytes.assign(data.begin(), data.end());
  if (header.big_endian) swap_bytes(array.bytes, header.type[0] == 'c' ? item / 2 : item);
  if (header.fortran_order) array.bytes = to_c_order(array.bytes, array.shape, item);
  return array;
}

NpyArray read_npy(const std::filesystem::path& path) {
  const auto content = read_file(path);
  return parse_npy(std::as_bytes(std::span(content)), path.string());
}

template <class T>
void write_npy(const std::filesystem::path& path, std::span<const T> values, std::span<const std::int64_t> shape) {
  static_assert(std::endian::native == std::endian::little);
  const char kind = std::is_floating_point_v<T> ? 'f' : std::is_signed_v<T> ? 'i' : 'u';
  std::string sizes;
  for (const auto size : shape) sizes += fmt::format("{}, ", size);
  if (shape.size() > 1) sizes.resize(sizes.size() - 2);
  std::string header = fmt::format("{{'descr': '{}{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   sizeof(T) == 1 ? '|' : '<', kind, sizeof(T), sizes);
  // The data begin at a multiple of 64 bytes; the header ends with a new line.
  const std::size_t before = 10 + header.size() + 1;
  header.append((64 - before % 64) % 64, ' ').push_back('\n');
  std::string file("\x93NUMPY\x01\x00", 8);
  file.push_back(static_cast<char>(header.size() & 255));
  file.push_back(static_cast<char>(header.size() >> 8));
  file += header;
  file.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  write_file_atomically(path, file);
}

#define MELISMA_WRITE_NPY(T) \
  template void write_npy<T>(const std::filesystem::path&, std::span<const T>, std::span<const std::int64_t>);
MELISMA_WRITE_NPY(float)
MELISMA_WRITE_NPY(double)
MELISMA_WRITE_NPY(std::int16_t)
MELISMA_WRITE_NPY(std::int32_t)
MELISMA_WRITE_NPY(std::int64_t)
MELISMA_WRITE_NPY(std::uint8_t)
#undef MELISMA_WRITE_NPY

}  // namespace melisma
