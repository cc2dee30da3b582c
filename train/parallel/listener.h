// Ports: which are tried, who may have them, and what is said when none is to be had. Torch-free.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace melisma {

// An open socket on which rank 0 is going to be met. Closed with it unless it is handed on.
class Listener {
 public:
  // Listens on the first of `ports` that is free (0 = any free one), at `address`: IPv4, IPv6 or a name. Throws
  // Error(network) naming address, port and what to set instead when it is taken, privileged or forbidden, or when the
  // address is none of this machine's.
  Listener(const std::string& address, const std::vector<std::uint16_t>& ports);
  // One that another process opened and handed over as descriptor `fd`.
  Listener(int fd, std::string address, std::uint16_t port) : fd_(fd), address_(std::move(address)), port_(port) {}
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Whoever has the descriptor now closes it.
  int release();

 private:
  int fd_ = -1;
  std::string address_;
  std::uint16_t port_ = 0;
};

// Why a port cannot be listened on (errno of bind or listen), and what to set instead.
[[nodiscard]] std::string listening_problem(int error, const std::string& address, std::uint16_t port);

// "127.0.0.1:29500", "[::1]:29500".
[[nodiscard]] std::string place_text(const std::string& address, std::uint16_t port);

// Whether somebody answers there now; what went wrong otherwise. Throws Error(network) if the name means nothing.
[[nodiscard]] std::string problem_of_reaching(const std::string& address, std::uint16_t port, double timeout_seconds);

// This machine's address, in digits, on the way to `address`: what others can reach it by. No name is looked up but
// `address` itself, so that a machine without a name of its own works. Throws Error(network) if there is no way.
[[nodiscard]] std::string own_address_towards(const std::string& address, std::uint16_t port);

}  // namespace melisma
