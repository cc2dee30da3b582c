#include <ATen/ATen.h>
#include <caffe2/serialize/inline_container.h>
#include <fmt/format.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <vector>

#include "models/weights/pth_file.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace pth_writer_detail {
namespace {

std::string_view storage_name(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "FloatStorage";
    case at::kHalf:
      return "HalfStorage";
    case at::kBFloat16:
      return "BFloat16Storage";
    case at::kDouble:
      return "DoubleStorage";
    case at::kLong:
      return "LongStorage";
    case at::kInt:
      return "IntStorage";
    case at::kShort:
      return "ShortStorage";
    case at::kChar:
      return "CharStorage";
    case at::kByte:
      return "ByteStorage";
    case at::kBool:
      return "BoolStorage";
    default:
      fail(ErrorKind::checkpoint, ".pth files have no storage for {}", c10::toString(type));
  }
}

// Protocol 2 without a memo: values are written out each time they occur.
class PickleWriter {
 public:
  std::vector<TensorToWrite> tensors;  // in the order of their keys "0", "1", ...

  std::string write(const PickleValue& value) {
    out_ = "\x80\x02";
    put(value);
    return out_ + '.';
  }

 private:
  template <class Number>
  void raw(Number value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }

  void put_text(std::string_view text) {
    out_ += 'X';
    raw(static_cast<std::uint32_t>(text.size()));
    out_ += text;
  }

  void put_global(std::string_view module, std::string_view name) { out_ += fmt::format("c{}\n{}\n", module, name); }

  void put_integer(std::int64_t value) {
    if (value >= 0 && value < 256) {
      out_ += 'K';
      raw(static_cast<std::uint8_t>(value));
    } else if (value >= std::numeric_limits<std::int32_t>::min() && value <= std::numeric_limits<std::int32_t>::max()) {
      out_ += 'J';
      raw(static_cast<std::int32_t>(value));
    } else {
      out_ += "\x8a\x08";
      raw(value);
    }
  }

  void put_real(double value) {
    auto bits = std::bit_cast<std::uint64_t>(value);
    out_ += 'G';
    for (int shift = 56; shift >= 0; shift -= 8) out_ += static_cast<char>(bits >> shift & 255);
  }

  void put_shape(const std::vector<std::int64_t>& numbers) {
    out_ += '(';
    for (const auto number : numbers) put_integer(number);
    out_ += 't';
  }

  void put_dict(const PickleDict& dict) {
    if (dict.is_ordered) {
      put_global("collections", "OrderedDict");
      out_ += ")R";
    } else {
      out_ += '}';
    }
    if (dict.items.empty()) return;
    out_ += '(';
    for (const auto& [key, value] : dict.items) put(key), put(value);
    out_ += 'u';
  }

  void put_sequence(const PickleSequence& sequence) {
    if (!sequence.is_tuple) out_ += ']';
    if (!sequence.is_tuple && sequence.items.empty()) return;
    out_ += '(';
    for (const auto& item : sequence.items) put(item);
    out_ += sequence.is_tuple ? 't' : 'e';
  }

  // _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)
  void put_tensor(TensorToWrite tensor) {
    std::vector<std::int64_t> strides(tensor.shape.size());
    std::int64_t numel = 1;
    for (std::size_t i = tensor.shape.size(); i-- > 0;) {
      strides[i] = std::max<std::int64_t>(numel, 1);
      numel *= tensor.shape[i];
    }
    put_global("torch._utils", "_rebuild_tensor_v2");
    out_ += "((";
    put_text("storage");
    put_global("torch", storage_name(tensor.type));
    put_text(std::to_string(tensors.size()));
    put_text("cpu");
    put_integer(numel);
    out_ += "tQ";
    put_integer(0);
    put_shape(tensor.shape);
    put_shape(strides);
    out_ += '\x89';
    put_global("collections", "OrderedDict");
    out_ += ")RtR";
    tensors.push_back(std::move(tensor));
  }

  void put(const PickleValue& value) {
    if (value.is_none()) {
      out_ += 'N';
    } else if (const auto flag = value.boolean()) {
      out_ += *flag ? '\x88' : '\x89';
    } else if (const auto whole = value.integer()) {
      put_integer(*whole);
    } else if (const auto real = value.number()) {
      put_real(*real);
    } else if (const auto* text = value.text()) {
      put_text(*text);
    } else if (const auto* sequence = value.sequence()) {
      put_sequence(*sequence);
    } else if (const auto* dict = value.dict()) {
      put_dict(*dict);
    } else if (const auto* pending = value.pending_tensor()) {
      put_tensor(*pending);
    } else if (const auto* tensor = value.tensor()) {
      put_tensor({"", tensor->sizes().vec(), tensor->scalar_type(), [t = tensor->detach()] { return t; }, {}});
    } else {
      fail(ErrorKind::checkpoint, "{} is not written into .pth files", value.kind_name());
    }
  }

  std::string out_;
};

// Collects what the archive writer emits. A failed write is remembered, not reported to it: its destructor must be
// able to finish.
class ArchiveFile {
 public:
  explicit ArchiveFile(const std::filesystem::path& path) : file_(path, std::ios::binary | std::ios::trunc) {
    note_error();
  }
  std::size_t write(const void* data, std::size_t size) {
    file_.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
    note_error();
    return size;
  }
  // Throws Error(device) naming `path` if any write failed.
  void finish(const std::filesystem::path& path) {
    file_.close();
    note_error();
    if (error_ != 0) fail_to_write(path, error_);
  }

 private:
  void note_error() {
    if (!file_ && error_ == 0) error_ = errno != 0 ? errno : EIO;
  }
  std::ofstream file_;
  int error_ = 0;
};

void write_archive(ArchiveFile& file, const PickleValue& value) {
  PickleWriter writer;
  const auto pickle = writer.write(value);
  caffe2::serialize::PyTorchStreamWriter archive(
      [&](const void* data, std::size_t size) { return file.write(data, size); });
  archive.writeRecord("data.pkl", pickle.data(), pickle.size());
  constexpr std::string_view kOrder = "little";
  archive.writeRecord("byteorder", kOrder.data(), kOrder.size());
  for (std::size_t i = 0; i < writer.tensors.size(); ++i) {
    const auto tensor = writer.tensors[i].make().contiguous();
    archive.writeRecord("data/" + std::to_string(i), tensor.const_data_ptr(), tensor.nbytes());
    if (writer.tensors[i].release) writer.tensors[i].release();
  }
  archive.writeEndOfFile();
}

}  // namespace
}  // namespace pth_writer_detail

void write_pth(const std::filesystem::path& path, const PickleValue& value) {
  write_file_atomically(path, [&](const std::filesystem::path& temporary) {
    pth_writer_detail::ArchiveFile file(temporary);
    try {
      pth_writer_detail::write_archive(file, value);
    } catch (const c10::Error& error) {
      fail(ErrorKind::device, "cannot write '{}': {}", path.string(), error.what_without_backtrace());
    }
    file.finish(path);
  });
}

}  // namespace melisma
