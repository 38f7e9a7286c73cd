#pragma once
/// vsock-send: stdin to the host, from any program of the guest.

#include <string_view>

namespace vmette::guest {

/// True for "vsock-send" and for a path that ends in it.
bool is_send_tool(std::string_view name);

///     vsock-send [--answer] [PORT]
/// PORT is $VMETTE_VSOCK_PORT when it is not given. 0: the host's reader has taken everything (with --answer: both
/// sides have ended); 1: it has not, which stderr explains; 2: wrong usage.
int run_send_tool(int argc, char** argv);

}  // namespace vmette::guest
