#include "train/prepare/sample_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tools/base/error.h"

namespace melisma {

SampleStore::SampleStore(std::filesystem::path folder, std::int64_t memory_samples)
    : folder_(std::move(folder)), limit_(memory_samples) {}

void SampleStore::append(std::span<const float> samples) {
  size_ += std::ssize(samples);
  if (file_ == nullptr && size_ <= limit_) {
    memory_.insert(memory_.end(), samples.begin(), samples.end());
    return;
  }
  if (file_ == nullptr) move_to_file();
  if (std::fwrite(samples.data(), sizeof(float), samples.size(), file_.get()) != samples.size()) {
    fail(ErrorKind::device, "cannot write scratch samples in '{}': {}; free space there or name another --workspace",
         folder_.string(), std::strerror(errno));
  }
}

void SampleStore::move_to_file() {
  auto name = (folder_ / "scratch-XXXXXX").string();
  const int descriptor = ::mkstemp(name.data());
  if (descriptor < 0) {
    fail(ErrorKind::device, "cannot make a scratch file in '{}': {}", folder_.string(), std::strerror(errno));
  }
  ::unlink(name.c_str());
  file_.reset(::fdopen(descriptor, "w+b"));
  std::fwrite(memory_.data(), sizeof(float), memory_.size(), file_.get());
  memory_ = {};
}

void SampleStore::read(std::int64_t first, std::span<float> out) const {
  if (file_ == nullptr) {
    std::copy_n(memory_.begin() + first, out.size(), out.begin());
    return;
  }
  std::fflush(file_.get());
  const auto size = static_cast<ssize_t>(out.size_bytes());
  if (::pread(::fileno(file_.get()), out.data(), out.size_bytes(), first * 4) != size) {
    fail(ErrorKind::device, "cannot read scratch samples back from '{}': {}", folder_.string(), std::strerror(errno));
  }
}

}  // namespace melisma
