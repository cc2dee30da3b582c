// A local web server with one file that it serves in good and in bad ways.
#pragma once
#include <gtest/gtest.h>
#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

namespace melisma::testing {

// /good: whole, or the part asked for. /cut: every answer ends after `bytes_an_answer`. /whole: never a part. /moved:
// on to /good. /round: on to itself. /missing: 404. /busy: 503. /long: one byte more. /other: as many bytes, but
// others.
class FileServer {
 public:
  explicit FileServer(std::string content) : content_(std::move(content)) {
    other_ = content_;
    other_.back() = static_cast<char>(~other_.back());
    serve("/good", content_, false);
    serve("/cut", content_, true);
    serve("/other", other_, false);
    longer_ = content_ + "x";
    serve("/long", longer_, false);
    server_.Get("/whole", [this](const httplib::Request& request, httplib::Response& response) {
      note(request);
      response.set_chunked_content_provider("application/octet-stream", [this](std::size_t, httplib::DataSink& sink) {
        sink.write(content_.data(), content_.size());
        sink.done();
        return true;
      });
    });
    redirect("/moved", "/good");
    redirect("/round", "/round");
    status("/missing", 404);
    status("/busy", 503);
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~FileServer() {
    server_.stop();
    thread_.join();
  }
  [[nodiscard]] std::string address() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] const std::string& content() const { return content_; }
  [[nodiscard]] int n_requests() const { return n_requests_; }
  [[nodiscard]] int n_continued() const { return n_continued_; }

  std::size_t bytes_an_answer = 1000;

 private:
  void note(const httplib::Request& request) {
    ++n_requests_;
    if (!request.ranges.empty()) ++n_continued_;
  }
  void serve(const std::string& path, const std::string& content, bool is_cut) {
    server_.Get(path, [this, &content, is_cut](const httplib::Request& request, httplib::Response& response) {
      note(request);
      auto left = is_cut ? bytes_an_answer : content.size();
      response.set_content_provider(
          content.size(), "application/octet-stream",
          [&content, left](std::size_t at, std::size_t length, httplib::DataSink& sink) mutable {
            const auto n = std::min({length, left, std::size_t{500}});
            if (n == 0) return false;  // the connection ends
            left -= n;
            sink.write(content.data() + at, n);
            return true;
          });
    });
  }
  void redirect(const std::string& from, const std::string& to) {
    server_.Get(from, [this, to](const httplib::Request& request, httplib::Response& response) {
      note(request);
      response.set_redirect(to);
    });
  }
  void status(const std::string& path, int code) {
    server_.Get(path, [this, code](const httplib::Request& request, httplib::Response& response) {
      note(request);
      response.status = code;
      // A server that is asked for a part would cut its apology.
      if (request.ranges.empty()) response.set_content("an apology that is no weights", "text/html");
    });
  }

  std::string content_, other_, longer_;
  std::atomic<int> n_requests_ = 0, n_continued_ = 0;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace melisma::testing
