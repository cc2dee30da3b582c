#include "train/parallel/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "tools/base/error.h"
#include "train/parallel/distributed_config.h"

namespace melisma {
namespace {

constexpr int kPrivilegedBelow = 1024;
constexpr int kBacklog = 1024;

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

// The numeric addresses that `address` means.
Addresses resolve(const std::string& address, std::uint16_t port, int type) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = type;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const auto code = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &wanted, &found);
  if (code == 0) return {found, &::freeaddrinfo};
  fail(ErrorKind::network,
       "'{}' is no address and no known name ({}); set distributed.address or MASTER_ADDR to an "
       "address in digits",
       address, ::gai_strerror(code));
}

// A socket that closes itself.
class Socket {
 public:
  Socket(const addrinfo& info, int flags) : fd_(::socket(info.ai_family, info.ai_socktype | SOCK_CLOEXEC | flags, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

sockaddr_storage own_end(int fd) {
  sockaddr_storage own{};
  socklen_t length = sizeof(own);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length);
  return own;
}

std::uint16_t port_of(const sockaddr_storage& place) {
  if (place.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(place).sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in&>(place).sin_port);
}

// In digits; a link-local IPv6 address keeps its interface ("fe80::1%eth0").
std::string digits_of(const sockaddr_storage& place) {
  std::array<char, NI_MAXHOST> text{};
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&place), sizeof(place), text.data(), text.size(), nullptr, 0,
                NI_NUMERICHOST);
  return text.data();
}

// 0, or why the socket cannot listen there.
int listen_on(const Socket& socket, const addrinfo& place) {
  if (socket.get() < 0) return errno;
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(socket.get(), place.ai_addr, place.ai_addrlen) != 0) return errno;
  return ::listen(socket.get(), kBacklog) == 0 ? 0 : errno;
}

}  // namespace

std::vector<std::uint16_t> ports_of(std::string_view text) {
  if (const auto problem = port_problem(text); !problem.empty()) {
    fail(ErrorKind::config, "distributed.port {}", problem);
  }
  const auto dash = text.find('-');
  const auto first = *ports_detail::port_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : *ports_detail::port_number(text.substr(dash + 1));
  std::vector<std::uint16_t> ports;
  for (int port = first; port <= last; ++port) ports.push_back(static_cast<std::uint16_t>(port));
  return ports;
}

std::string place_text(const std::string& address, std::uint16_t port) {
  const bool is_ipv6 = address.find(':') != std::string::npos;
  return is_ipv6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

std::string listening_problem(int error, const std::string& address, std::uint16_t port) {
  const auto place = place_text(address, port);
  if (error == EADDRINUSE) {
    return fmt::format(
        "port {} is taken by another program ({}); set distributed.port to 0 (any free port), to another "
        "one, or to a range such as \"29500-29600\"",
        port, place);
  }
  if ((error == EACCES || error == EPERM) && port != 0 && port < kPrivilegedBelow) {
    return fmt::format(
        "port {} is privileged ({}): ports below {} are the system's; set distributed.port to 0 (any free "
        "port) or to one above",
        port, place, kPrivilegedBelow);
  }
  if (error == EACCES || error == EPERM) {
    return fmt::format(
        "the system forbids port {} ({}: {}); set distributed.port to one that its rules allow, or to a "
        "range of them",
        port, place, std::strerror(error));
  }
  if (error == EADDRNOTAVAIL) {
    return fmt::format(
        "{} is no address of this machine, where rank 0 runs; set distributed.address (or MASTER_ADDR) to "
        "one of its addresses",
        address);
  }
  return fmt::format("cannot listen on {}: {}", place, std::strerror(error));
}

Listener::Listener(const std::string& address, const std::vector<std::uint16_t>& ports) : address_(address) {
  std::string problem;
  for (const auto port : ports) {
    const auto places = resolve(address, port, SOCK_STREAM);
    Socket socket(*places, 0);
    const int error = listen_on(socket, *places);
    if (error == 0) {
      port_ = port_of(own_end(socket.get()));
      fd_ = socket.release();
      return;
    }
    if (problem.empty() || ports.size() == 1) problem = listening_problem(error, address, port);
  }
  if (ports.size() == 1) fail(ErrorKind::network, "{}", problem);
  fail(ErrorKind::network, "none of the ports {} to {} is to be had at {}; the first one: {}", ports.front(),
       ports.back(), address, problem);
}

Listener::~Listener() {
  if (fd_ >= 0) ::close(fd_);
}

int Listener::release() { return std::exchange(fd_, -1); }

std::string problem_of_reaching(const std::string& address, std::uint16_t port, double timeout_seconds) {
  const auto places = resolve(address, port, SOCK_STREAM);
  int error = 0;
  for (const auto* place = places.get(); place != nullptr; place = place->ai_next) {
    const Socket socket(*place, SOCK_NONBLOCK);
    if (::connect(socket.get(), place->ai_addr, place->ai_addrlen) == 0) return {};
    error = errno;
    if (error != EINPROGRESS) continue;
    pollfd waiting{.fd = socket.get(), .events = POLLOUT, .revents = 0};
    error = ETIMEDOUT;
    if (::poll(&waiting, 1, static_cast<int>(timeout_seconds * 1000)) > 0) {
      socklen_t length = sizeof(error);
      ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    }
    if (error == 0) return {};
  }
  return std::strerror(error);
}

std::string own_address_towards(const std::string& address, std::uint16_t port) {
  const auto places = resolve(address, port, SOCK_DGRAM);
  int error = 0;
  for (const auto* place = places.get(); place != nullptr; place = place->ai_next) {
    const Socket socket(*place, 0);  // a datagram socket that is connected sends nothing: it only finds its way
    if (::connect(socket.get(), place->ai_addr, place->ai_addrlen) == 0) return digits_of(own_end(socket.get()));
    error = errno;
  }
  fail(ErrorKind::network, "no way leads from this machine to {}: {}; set distributed.address or MASTER_ADDR",
       place_text(address, port), std::strerror(error));
}

}  // namespace melisma
