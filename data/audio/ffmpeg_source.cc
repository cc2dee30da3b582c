#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "data/audio/audio_sources.h"
#include "tools/base/error.h"

extern char** environ;

namespace melisma {
namespace fs = std::filesystem;
namespace {

// A running ffmpeg: its standard output is a pipe to us, what it says goes to a file in memory.
class FfmpegProcess {
 public:
  // False if there is no such program in PATH. Throws Error(device) if it cannot be started otherwise.
  bool start(const fs::path& input, int stream);
  ~FfmpegProcess();
  FfmpegProcess() = default;
  FfmpegProcess(const FfmpegProcess&) = delete;
  FfmpegProcess& operator=(const FfmpegProcess&) = delete;

  // Up to `size` bytes, fewer only at the end.
  std::size_t read(void* bytes, std::size_t size);
  // Exit status once the output has ended: 0 = well.
  int wait();
  // What it complained about, one line a complaint.
  [[nodiscard]] std::vector<std::string> complaints() const;

 private:
  pid_t process_ = -1;
  int output_ = -1, messages_ = -1;
};

bool FfmpegProcess::start(const fs::path& input, int stream) {
  std::array<int, 2> pipe_ends{-1, -1};
  messages_ = ::memfd_create("ffmpeg-messages", MFD_CLOEXEC);
  if (messages_ < 0 || ::pipe2(pipe_ends.data(), O_CLOEXEC) != 0) {
    fail(ErrorKind::device, "cannot run ffmpeg: {}", std::strerror(errno));
  }
  output_ = pipe_ends[0];

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, messages_, STDERR_FILENO);
  // A process group of its own: an interrupt at the terminal is for us to handle. A closed pipe ends it.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);

  // "file:" and the whitelist keep a file that is really a playlist from opening anything on a network.
  std::vector<std::string> words{"ffmpeg",
                                 "-v",
                                 "error",
                                 "-nostdin",
                                 "-threads",
                                 "1",
                                 "-protocol_whitelist",
                                 "file",
                                 "-i",
                                 "file:" + fs::absolute(input).string(),
                                 "-map",
                                 fmt::format("0:a:{}", stream),
                                 "-c:a",
                                 "pcm_f32le",
                                 "-f",
                                 "wav",
                                 "pipe:1"};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int code = ::posix_spawnp(&process_, "ffmpeg", &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_ends[1]);
  if (code == 0) return true;
  process_ = -1;
  if (code == ENOENT || code == EACCES) return false;
  fail(ErrorKind::device, "cannot run ffmpeg: {}", std::strerror(code));
}

FfmpegProcess::~FfmpegProcess() {
  if (output_ >= 0) ::close(output_);
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    wait();
  }
  if (messages_ >= 0) ::close(messages_);
}

std::size_t FfmpegProcess::read(void* bytes, std::size_t size) {
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t count = ::read(output_, static_cast<char*>(bytes) + filled, size - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(ErrorKind::device, "cannot read from ffmpeg: {}", std::strerror(errno));
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  return filled;
}

int FfmpegProcess::wait() {
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return status;
}

std::vector<std::string> FfmpegProcess::complaints() const {
  std::string text(65536, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(messages_, text.data(), text.size(), 0))));
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// "[matroska,webm @ 0x55d0c8] File ended prematurely" without the address, which differs from run to run.
std::string without_address(const std::string& line) {
  const auto close = line.find("] ");
  return line.starts_with('[') && close != std::string::npos ? line.substr(close + 2) : line;
}

class FfmpegSource final : public AudioSource {
 public:
  FfmpegSource(fs::path path, int stream) : path_(std::move(path)), stream_(stream) {}

  // False if there is no ffmpeg.
  bool open() {
    if (!process_.start(path_, stream_)) return false;
    read_header();
    return true;
  }

  [[nodiscard]] const AudioInfo& info() const override { return info_; }

  std::int64_t read(float* interleaved, std::int64_t n_frames) override {
    if (is_finished_) return 0;
    const auto frame_bytes = sizeof(float) * static_cast<std::size_t>(info_.n_channels);
    const auto count = process_.read(interleaved, frame_bytes * static_cast<std::size_t>(n_frames)) / frame_bytes;
    if (static_cast<std::int64_t>(count) < n_frames) finish();
    return static_cast<std::int64_t>(count);
  }

 private:
  // The WAVE header on the pipe: chunks up to "data", the one that matters being "fmt ".
  void read_header();
  void finish();
  [[noreturn]] void fail_unreadable();
  void require(bool is_whole) {
    if (!is_whole) fail_unreadable();
  }

  fs::path path_;
  int stream_;
  FfmpegProcess process_;
  AudioInfo info_;
  bool is_finished_ = false;
};

void FfmpegSource::read_header() {
  std::array<char, 12> riff{};
  require(process_.read(riff.data(), riff.size()) == riff.size());
  while (true) {
    struct {
      std::array<char, 4> id;
      std::uint32_t size;
    } chunk{};
    require(process_.read(&chunk, sizeof(chunk)) == sizeof(chunk));
    const std::string_view id(chunk.id.data(), chunk.id.size());
    if (id == "data") break;
    require(chunk.size < (1u << 20));
    std::vector<std::uint8_t> content(chunk.size + chunk.size % 2);
    require(process_.read(content.data(), content.size()) == content.size());
    if (id != "fmt ") continue;
    require(content.size() >= 16);
    std::uint16_t n_channels = 0;
    std::uint32_t rate_hz = 0;
    std::memcpy(&n_channels, content.data() + 2, sizeof(n_channels));
    std::memcpy(&rate_hz, content.data() + 4, sizeof(rate_hz));
    info_.n_channels = n_channels;
    info_.sample_rate_hz = rate_hz;
  }
  require(info_.n_channels > 0 && info_.sample_rate_hz > 0);
  info_.encoding = "decoded by ffmpeg";
  info_.decoder = AudioDecoder::ffmpeg;
}

void FfmpegSource::fail_unreadable() {
  process_.wait();
  const auto lines = process_.complaints();
  for (const auto& line : lines) {
    if (line.find("matches no streams") != std::string::npos) {
      fail(ErrorKind::data, "cannot read '{}': it holds no audio stream{}", path_.string(),
           stream_ == 0 ? "" : fmt::format(" number {} (the first is 0)", stream_));
    }
  }
  auto reason = lines.empty() ? std::string("no samples come out") : without_address(lines.back());
  // ffmpeg repeats the path in front of its reason.
  if (const auto colon = reason.rfind(": "); colon != std::string::npos) reason = reason.substr(colon + 2);
  fail(ErrorKind::data, "cannot read '{}': neither libsndfile nor ffmpeg knows it as audio ({})", path_.string(),
       reason);
}

void FfmpegSource::finish() {
  is_finished_ = true;
  const int status = process_.wait();
  const auto lines = process_.complaints();
  if (status != 0) {
    fail(ErrorKind::data, "cannot read '{}': damaged: ffmpeg says \"{}\"", path_.string(),
         lines.empty() ? "nothing" : without_address(lines.back()));
  }
  for (const auto& line : lines) {
    for (const std::string_view sign : {"prematurely", "partial file", "truncated", "Truncat"}) {
      if (line.find(sign) != std::string::npos) {
        fail(ErrorKind::data, "cannot read '{}': truncated: ffmpeg says \"{}\"", path_.string(), without_address(line));
      }
    }
  }
}

}  // namespace

std::unique_ptr<AudioSource> open_with_ffmpeg(const fs::path& path, int stream) {
  auto source = std::make_unique<FfmpegSource>(path, stream);
  if (!source->open()) return nullptr;
  return source;
}

}  // namespace melisma
