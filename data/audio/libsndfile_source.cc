#include <sndfile.h>

#include <limits>
#include <regex>
#include <string>

#include "data/audio/audio_sources.h"
#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

// Lengths a writer to a pipe puts where it cannot know better: not a promise.
constexpr std::int64_t kOpenEnded = 0x7fffff00;

std::string encoding_text(const SF_INFO& info) {
  std::string text;
  for (const int part : {info.format & SF_FORMAT_TYPEMASK, info.format & SF_FORMAT_SUBMASK}) {
    SF_FORMAT_INFO name{};
    name.format = part;
    if (sf_command(nullptr, SFC_GET_FORMAT_INFO, &name, sizeof(name)) != 0 || name.name == nullptr) continue;
    if (!text.empty()) text += ", ";
    text += name.name;
  }
  return text;
}

// What libsndfile noted while reading the header.
std::string log_of(SNDFILE* file) {
  std::string text(4096, '\0');
  const int length = sf_command(file, SFC_GET_LOG_INFO, text.data(), static_cast<int>(text.size()));
  text.resize(static_cast<std::size_t>(std::max(length, 0)));
  return text;
}

// libsndfile silently shortens a file whose data chunk claims more bytes than there are; its log tells.
void require_whole_data_chunk(const fs::path& path, const std::string& log) {
  static const std::regex shortened(R"((data|SSND|Data Size)\s*:\s*(0x[0-9A-Fa-f]+|\d+) \(should be (\d+)\))");
  std::smatch match;
  if (!std::regex_search(log, match, shortened)) return;
  const auto claimed = std::stoll(match[2], nullptr, 0);
  const auto present = std::stoll(match[3]);
  if (claimed <= present || claimed >= kOpenEnded) return;
  fail(ErrorKind::data, "cannot read '{}': truncated: its header promises {} bytes of samples but only {} follow",
       path.string(), claimed, present);
}

class LibsndfileSource final : public AudioSource {
 public:
  LibsndfileSource(fs::path path, SNDFILE* file, const SF_INFO& info) : path_(std::move(path)), file_(file) {
    info_.sample_rate_hz = info.samplerate;
    info_.n_channels = info.channels;
    info_.encoding = encoding_text(info);
    info_.decoder = AudioDecoder::libsndfile;
    if (info.frames >= 0 && info.frames < std::numeric_limits<std::int64_t>::max() / 65536)
      info_.n_frames = info.frames;
    is_exact_length_ = (info.format & SF_FORMAT_TYPEMASK) != SF_FORMAT_MPEG;  // an mp3 header only estimates
  }
  ~LibsndfileSource() override { sf_close(file_); }
  LibsndfileSource(const LibsndfileSource&) = delete;
  LibsndfileSource& operator=(const LibsndfileSource&) = delete;

  [[nodiscard]] const AudioInfo& info() const override { return info_; }

  std::int64_t read(float* interleaved, std::int64_t n_frames) override {
    const auto count = sf_readf_float(file_, interleaved, n_frames);
    if (sf_error(file_) != SF_ERR_NO_ERROR) {
      fail(ErrorKind::data, "cannot read '{}': damaged after {} frames: {}", path_.string(), n_read_,
           sf_strerror(file_));
    }
    n_read_ += count;
    if (count == 0 && is_exact_length_ && info_.n_frames && n_read_ < *info_.n_frames) {
      fail(ErrorKind::data, "cannot read '{}': truncated: its header promises {} frames but only {} can be decoded",
           path_.string(), *info_.n_frames, n_read_);
    }
    return count;
  }

 private:
  fs::path path_;
  SNDFILE* file_;
  AudioInfo info_;
  std::int64_t n_read_ = 0;
  bool is_exact_length_ = true;
};

}  // namespace

std::unique_ptr<AudioSource> open_with_libsndfile(const fs::path& path) {
  SF_INFO info{};
  SNDFILE* file = sf_open(path.c_str(), SFM_READ, &info);
  if (file == nullptr) return nullptr;
  auto source = std::make_unique<LibsndfileSource>(path, file, info);
  if (info.channels < 1 || info.samplerate < 1) {
    fail(ErrorKind::data, "cannot read '{}': its header gives {} channels at {} Hz", path.string(), info.channels,
         info.samplerate);
  }
  require_whole_data_chunk(path, log_of(file));
  return source;
}

}  // namespace melisma
