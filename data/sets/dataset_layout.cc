#include "data/sets/dataset_layout.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"

namespace melisma::layout {
namespace fs = std::filesystem;

void add_ledger_page(Hdf5File& file, std::int64_t page) {
  const auto group = fmt::format("/ledger/{:03}", page);
  file.reserve_fixed_text(group + "/time_utc", kLedgerRows, kTimeWidth);
  file.reserve_fixed_text(group + "/command", kLedgerRows, kCommandWidth);
  file.reserve_fixed_text(group + "/model_hash", kLedgerRows, kModelWidth);
}

Hashes hashes_of(const std::string& parameters, const std::vector<std::string>& speakers,
                 const std::vector<Clip>& clips) {
  ContentHasher content, split;
  content.add(parameters).add("\n");
  for (const auto& speaker : speakers) content.add(speaker).add("\n");
  for (const auto& clip : clips) {
    content.add(fmt::format("{}\t{}\t{}\t{}\t{}\t{}\n", clip.recording, clip.recording_offset, clip.speaker,
                            clip.length, clip.hash, name_of(clip.split)));
    split.add(fmt::format("{}\t{}\n", clip.hash, name_of(clip.split)));
  }
  return {content.hex(), split.hex()};
}

Hashes hashes_of(const std::string& parameters, const std::vector<Song>& songs) {
  ContentHasher content, split;
  content.add(parameters).add("\n");
  for (const auto& song : songs) {
    content.add(fmt::format("{}\t{}\t{}\n", song.name, song.artist, name_of(song.split)));
    const auto add = [&](const Track& track, std::string_view role) {
      content.add(fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", role, track.name, track.stem, track.recording,
                              track.n_channels, track.start, track.length, track.hash));
      split.add(fmt::format("{}\t{}\n", track.hash, name_of(song.split)));
    };
    for (const auto& track : song.tracks) add(track, "track");
    if (song.mix) add(*song.mix, "mix");
  }
  return {content.hex(), split.hex()};
}

WriterLock::WriterLock(const fs::path& path) {
  while (true) {
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor_ < 0) {
      const auto kind = errno == ENOENT ? ErrorKind::data : ErrorKind::device;
      fail(kind, "cannot write to dataset '{}': {}", path.string(), std::strerror(errno));
    }
    struct stat locked {};
    struct stat current {};
    if (::flock(descriptor_, LOCK_EX) == 0 && ::fstat(descriptor_, &locked) == 0 &&
        ::stat(path.c_str(), &current) == 0 && locked.st_ino == current.st_ino) {
      return;
    }
    ::close(descriptor_);
  }
}

WriterLock::~WriterLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void replace_with_changes(const fs::path& path, const std::function<void(Hdf5File&)>& change) {
  write_file_atomically(path, [&](const fs::path& temporary) {
    std::error_code problem;
    fs::copy_file(path, temporary, fs::copy_options::overwrite_existing, problem);
    if (problem) {
      fail(ErrorKind::device, "cannot copy '{}' to change it: {}; free about {} MB beside it", path.string(),
           problem.message(), fs::file_size(path) / 1000000 + 1);
    }
    auto file = Hdf5File::extend(temporary);
    change(file);
    file.flush();
  });
}

}  // namespace melisma::layout
