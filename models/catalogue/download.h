// A file over HTTP, whole or not at all: resumed, checked, moved into place.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace melisma {

struct Download {
  std::filesystem::path target;
  std::vector<std::string> urls;  // http or https; tried in order
  std::uint64_t size = 0;         // bytes it must have
  std::string sha256;             // it must have: 64 lower-case hex digits
};

struct DownloadOptions {
  int attempts = 4;           // in a row at one URL that bring nothing new, before the next URL
  double pause_seconds = 1;   // before trying again, doubled each time
  double stall_seconds = 60;  // without a byte, before a connection is given up
};

// Fetches into "<target>.part", which a later call continues after an interruption or a broken connection, checks size
// and SHA-256, and renames it to the target. Redirects are followed, never from https to http; proxies are those of the
// environment (https_proxy, no_proxy). `progress` gets bytes done. Throws Error(device) if the disk has too little
// room (before the first byte) or refuses, Error(network) naming what each URL said, Error(interrupted) when a stop is
// asked for; the part fetched stays, unless it is proven wrong.
void download(const Download& wanted, const DownloadOptions& options, const std::function<void(double)>& progress);

// `url` at another server: scheme and host replaced by those of `mirror` ("https://hf-mirror.com", which may end in a
// folder).
[[nodiscard]] std::string at_mirror(const std::string& url, std::string_view mirror);

}  // namespace melisma
