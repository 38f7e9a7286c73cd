#pragma once
/// Where programs of the guest find the way to the host, and what they say there first. Between init and vsock-send,
/// which is init started under that name; other programs use AF_VSOCK where the machine has it.

#include "../protocol.h"
#include "support.h"
#include "tree.h"

namespace vmette::guest {

constexpr char kSendTool[] = "vsock-send";
/// A socket named by the port's number is in here.
constexpr char kCallFolder[] = "/run/vmette/host";

/// The first byte of a call, from the program.
enum class CallKind : char {
    send = 'S',    ///< bytes to the host alone; answered by kAllTaken once the host's reader has them all
    answer = 'A',  ///< bytes both ways
};
constexpr char kAllTaken = '.';

/// The socket's path of a port.
std::string call_socket(std::uint32_t port);

/// Puts vsock-send on the PATH: a link in the root, which must be writable. What an image has there stays.
Outcome<> link_send_tool(const Tree& tree);
/// Puts the program behind the link. Requires /run to be a tmpfs, and /proc.
Outcome<> put_send_tool(const Tree& tree);
/// The listening socket (non-blocking), which everybody in the guest may connect to. Called inside the root.
Outcome<Fd> listen_for_calls(std::uint32_t port);

}  // namespace vmette::guest
