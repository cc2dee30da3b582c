#include "train/prepare/part.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

// A part file: samples, fingerprint words, doubtful bits, header (JSON), then its length and the magic at the very end.
constexpr char kMagic[8] = {'M', 'L', 'P', 'A', 'R', 'T', '0', '1'};

struct Tail {
  std::uint64_t header_bytes = 0;
  char magic[8] = {};
};

std::size_t sample_bytes(WaveStorage storage) { return storage == WaveStorage::int16 ? 2 : 4; }

nlohmann::ordered_json header_of(const Part& part) {
  nlohmann::ordered_json header;
  header["fate"] = part.fate;
  header["detail"] = part.detail;
  header["is_kept"] = part.is_kept;
  header["seconds"] = part.seconds;
  if (part.n_channels != 1) header["n_channels"] = part.n_channels;
  header["sound_hash"] = part.sound_hash;
  header["n_words"] = part.fingerprint.bits.size();
  header["dropped"] = nlohmann::ordered_json::object();
  for (const auto& [reason, dropped] : part.dropped) header["dropped"][reason] = {dropped.n_slices, dropped.seconds};
  header["clips"] = nlohmann::ordered_json::array();
  for (const auto& clip : part.clips) header["clips"].push_back({clip.recording_offset, clip.length, clip.hash});
  return header;
}

Part part_from(const nlohmann::json& header) {
  Part part;
  part.fate = header.at("fate");
  part.detail = header.at("detail");
  part.is_kept = header.at("is_kept");
  part.seconds = header.at("seconds");
  part.n_channels = header.value("n_channels", std::int64_t{1});
  part.sound_hash = header.at("sound_hash");
  for (const auto& [reason, dropped] : header.at("dropped").items()) part.dropped[reason] = {dropped[0], dropped[1]};
  for (const auto& clip : header.at("clips")) part.clips.push_back({clip[0], clip[1], clip[2]});
  return part;
}

void write_bytes(std::FILE* file, const fs::path& path, const void* bytes, std::size_t size) {
  if (size > 0 && std::fwrite(bytes, 1, size, file) != size) {
    fail(ErrorKind::device, "cannot write '{}': {}; free space there or name another --workspace", path.string(),
         std::strerror(errno));
  }
}

template <class T>
void read_back(std::ifstream& file, std::vector<T>& values, std::size_t count) {
  values.resize(count);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(T)));
}

}  // namespace

double Part::kept_seconds(std::int64_t sample_rate_hz) const {
  std::int64_t covered = 0, end = 0;
  for (const auto& clip : clips) {
    const auto from = std::max(end, clip.recording_offset), to = clip.recording_offset + clip.length;
    if (to > from) covered += to - from;
    end = std::max(end, to);
  }
  return static_cast<double>(covered) / static_cast<double>(sample_rate_hz);
}

PartWriter::PartWriter(fs::path temporary, WaveStorage storage)
    : path_(std::move(temporary)), storage_(storage), file_(std::fopen(path_.c_str(), "wb"), [](std::FILE* f) {
        if (f != nullptr) std::fclose(f);
      }) {
  if (!file_) fail(ErrorKind::device, "cannot write '{}': {}", path_.string(), std::strerror(errno));
}

std::string PartWriter::add(std::span<const float> samples) {
  const auto bytes = stored_bytes(samples, storage_);
  write_bytes(file_.get(), path_, bytes.data(), bytes.size());
  return content_hash(bytes);
}

void PartWriter::finish(const Part& part) {
  write_bytes(file_.get(), path_, part.fingerprint.bits.data(), part.fingerprint.bits.size() * 4);
  write_bytes(file_.get(), path_, part.fingerprint.doubtful.data(), part.fingerprint.doubtful.size() * 2);
  const auto header = json_line(header_of(part));
  write_bytes(file_.get(), path_, header.data(), header.size());
  Tail tail{header.size(), {}};
  std::memcpy(tail.magic, kMagic, sizeof kMagic);
  write_bytes(file_.get(), path_, &tail, sizeof tail);
  if (std::fflush(file_.get()) != 0) write_bytes(nullptr, path_, nullptr, 0);
  file_.reset();
}

std::optional<Part> read_part(const fs::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return std::nullopt;
  const auto size = static_cast<std::int64_t>(file.tellg());
  Tail tail;
  if (size < static_cast<std::int64_t>(sizeof tail)) return std::nullopt;
  file.seekg(size - static_cast<std::int64_t>(sizeof tail));
  file.read(reinterpret_cast<char*>(&tail), sizeof tail);
  const auto header_at = size - static_cast<std::int64_t>(sizeof tail) - static_cast<std::int64_t>(tail.header_bytes);
  if (std::memcmp(tail.magic, kMagic, sizeof kMagic) != 0 || header_at < 0) return std::nullopt;
  std::string text(tail.header_bytes, '\0');
  file.seekg(header_at);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  try {
    const auto header = nlohmann::json::parse(text);
    auto part = part_from(header);
    const auto n_words = header.at("n_words").get<std::size_t>();
    const auto words_at = header_at - static_cast<std::int64_t>(n_words * 6);
    if (words_at < 0) return std::nullopt;
    file.seekg(words_at);
    read_back(file, part.fingerprint.bits, n_words);
    read_back(file, part.fingerprint.doubtful, n_words);
    if (!file) return std::nullopt;
    return part;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

PartReader::PartReader(const fs::path& path, const Part& part, WaveStorage storage)
    : file_(std::fopen(path.c_str(), "rb"),
            [](std::FILE* f) {
              if (f != nullptr) std::fclose(f);
            }),
      path_(path),
      storage_(storage) {
  if (!file_) fail(ErrorKind::data, "cannot read '{}': {}", path.string(), std::strerror(errno));
  std::int64_t at = 0;
  for (const auto& clip : part.clips) {
    offsets_.push_back(at);
    lengths_.push_back(clip.length);
    at += clip.length * static_cast<std::int64_t>(sample_bytes(storage));
  }
}

std::vector<float> PartReader::samples(std::size_t clip) const {
  const auto count = static_cast<std::size_t>(lengths_.at(clip));
  const auto size = count * sample_bytes(storage_);
  std::vector<float> samples(count);
  std::vector<std::int16_t> stored(storage_ == WaveStorage::int16 ? count : 0);
  void* into = stored.empty() ? static_cast<void*>(samples.data()) : stored.data();
  if (::pread(::fileno(file_.get()), into, size, offsets_[clip]) != static_cast<ssize_t>(size)) {
    fail(ErrorKind::data, "'{}' is damaged; delete it and run the command again", path_.string());
  }
  std::transform(stored.begin(), stored.end(), samples.begin(),
                 [](std::int16_t sample) { return static_cast<float>(sample) / 32768.0F; });
  return samples;
}

}  // namespace melisma
