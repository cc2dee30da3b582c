#include "models/catalogue/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/hash.h"
#include "tools/base/stop.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

// The file under way, which no other process may be writing.
class PartFile {
 public:
  explicit PartFile(fs::path path) : path_(std::move(path)) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail_to_write(path_, errno);
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      fail(ErrorKind::device, "'{}' is being fetched by another process; wait for it to end", path_.string());
    }
  }
  ~PartFile() { ::close(descriptor_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  [[nodiscard]] const fs::path& path() const { return path_; }
  [[nodiscard]] std::uint64_t size() const { return static_cast<std::uint64_t>(::lseek(descriptor_, 0, SEEK_END)); }
  void clear() {
    if (::ftruncate(descriptor_, 0) != 0) fail_to_write(path_, errno);
  }
  // 0, or the errno of what went wrong.
  int append(const char* bytes, std::size_t n) {
    ::lseek(descriptor_, 0, SEEK_END);
    while (n > 0) {
      const auto written = ::write(descriptor_, bytes, n);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno;
      bytes += written;
      n -= static_cast<std::size_t>(written);
    }
    return 0;
  }
  void remove() { ::unlink(path_.c_str()); }
  void move_to(const fs::path& target) {
    if (::fsync(descriptor_) != 0 || ::rename(path_.c_str(), target.c_str()) != 0) fail_to_write(target, errno);
  }

 private:
  fs::path path_;
  int descriptor_ = -1;
};

struct Transfer {
  PartFile& part;
  std::uint64_t begin = 0, size = 0;  // where it starts in the file, bytes of the whole file
  const std::function<void(double)>& progress;
  int write_error = 0;
  bool is_too_long = false;
};

std::size_t take(char* bytes, std::size_t, std::size_t n, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const auto done = transfer.part.size() + n;
  transfer.is_too_long = done > transfer.size;
  if (transfer.is_too_long) return 0;
  transfer.write_error = transfer.part.append(bytes, n);
  if (transfer.write_error != 0) return 0;
  if (transfer.progress) transfer.progress(static_cast<double>(done));
  return n;
}

int stop_if_asked(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return stop_requested() != 0 ? 1 : 0; }

void allow_protocols(CURL* handle, bool is_secure) {
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, is_secure ? "https" : "http,https");
#else
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS,
                   static_cast<long>(is_secure ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

struct Problem {
  std::string text;
  bool is_final = false;  // asking the same URL again does not help
};

// What the answer `code` means; nothing if all is well.
std::optional<Problem> problem_of(CURLcode code, long status, const char* details, PartFile& part) {
  // Asked to continue, curl takes 416 for success.
  if (status >= 400) {
    return Problem{fmt::format("the server answers {}", status), status < 500 && status != 408 && status != 429};
  }
  if (code == CURLE_OK) return std::nullopt;
  if (code == CURLE_RANGE_ERROR) {
    part.clear();  // the next request starts from the beginning
    return Problem{"the server cannot continue a file"};
  }
  const bool is_unreachable = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT;
  return Problem{*details != 0 ? details : curl_easy_strerror(code),
                 is_unreachable || code == CURLE_TOO_MANY_REDIRECTS};
}

// One request for what is missing of the file; what went wrong, or nothing. Adds what it brought to the part.
std::optional<Problem> request(const std::string& url, Transfer& transfer, double stall_seconds) {
  static const auto started = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(), curl_easy_cleanup);
  if (started != CURLE_OK || !handle) fail(ErrorKind::internal, "libcurl cannot be started");
  char details[CURL_ERROR_SIZE] = "";
  auto* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "melisma");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
  allow_protocols(curl, url.starts_with("https://"));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(stall_seconds));
  curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(transfer.begin));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_if_asked);
  const auto code = curl_easy_perform(curl);
  if (stop_requested() != 0) {
    throw Error::interrupted(stop_requested(),
                             fmt::format("stopped with {} of {} fetched; the same command continues",
                                         format_bytes(transfer.part.size()), format_bytes(transfer.size)));
  }
  if (transfer.write_error != 0) fail_to_write(transfer.part.path(), transfer.write_error);
  if (transfer.is_too_long) {
    transfer.part.clear();
    return Problem{fmt::format("it has more than {} bytes", transfer.size), true};
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return problem_of(code, status, details, transfer.part);
}

// What is wrong with the complete part, or nothing.
std::optional<std::string> mistake_in(const PartFile& part, const Download& wanted) {
  if (part.size() != wanted.size) {
    return fmt::format("it has {} bytes, not {}", part.size(), wanted.size);
  }
  if (const auto found = sha256_of_file(part.path()); found != wanted.sha256) {
    return fmt::format("its SHA-256 is {}, not {}", found, wanted.sha256);
  }
  return std::nullopt;
}

// Everything one URL can give: nothing if the part is now the file wanted, otherwise why it is not.
std::optional<std::string> fetch_from(const std::string& url, const Download& wanted, const DownloadOptions& options,
                                      PartFile& part, const std::function<void(double)>& progress) {
  auto pause = options.pause_seconds;
  for (int n_idle = 0;;) {
    if (part.size() > wanted.size) part.clear();
    const auto begin = part.size();
    Transfer transfer{.part = part, .begin = begin, .size = wanted.size, .progress = progress};
    const auto problem = begin == wanted.size ? std::nullopt : request(url, transfer, options.stall_seconds);
    if (!problem) {
      const auto mistake = mistake_in(part, wanted);
      if (!mistake) return std::nullopt;
      part.clear();
      if (begin == 0) return mistake;
      continue;  // what was begun earlier gets another chance, from its beginning
    }
    const bool brought_something = part.size() > begin;
    n_idle = brought_something ? 0 : n_idle + 1;
    if (problem->is_final || n_idle == options.attempts) return problem->text;
    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    if (!brought_something) pause *= 2;
  }
}

void require_room(const Download& wanted, const PartFile& part) {
  const auto missing = wanted.size - std::min(wanted.size, part.size());
  const auto free = free_bytes_at(wanted.target);
  if (free >= missing) return;
  fail(ErrorKind::device, "'{}' needs {} more, but its disk has {} free; free space there or set MELISMA_WEIGHTS",
       wanted.target.string(), format_bytes(missing), format_bytes(free));
}

}  // namespace

std::string at_mirror(const std::string& url, std::string_view mirror) {
  const auto host = url.find("://") + 3;
  const auto path = std::min(url.find('/', host), url.size());
  while (mirror.ends_with('/')) mirror.remove_suffix(1);
  return std::string(mirror) + url.substr(path);
}

void download(const Download& wanted, const DownloadOptions& options, const std::function<void(double)>& progress) {
  if (wanted.target.has_parent_path()) {
    make_folders(wanted.target.parent_path(), "set MELISMA_WEIGHTS to a folder that can be written");
  }
  PartFile part(wanted.target.string() + ".part");
  require_room(wanted, part);
  std::vector<std::string> problems;
  for (const auto& url : wanted.urls) {
    const auto problem = fetch_from(url, wanted, options, part, progress);
    if (!problem) {
      part.move_to(wanted.target);
      return;
    }
    problems.push_back(fmt::format("{}: {}", url, *problem));
  }
  const auto have = part.size();
  if (have == 0) part.remove();
  fail(ErrorKind::network, "cannot fetch '{}': {}{}", wanted.target.string(), fmt::join(problems, "; "),
       have == 0 ? std::string()
                 : fmt::format("; {} of {} are kept, the same command continues", format_bytes(have),
                               format_bytes(wanted.size)));
}

}  // namespace melisma
