#include "send_tool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "call_place.h"

namespace vmette::guest {

namespace {

constexpr char kUsage[] =
    "usage: vsock-send [--answer] [PORT]\n"
    "Sends stdin to the host on PORT (default: $VMETTE_VSOCK_PORT). --answer: what the host answers goes to stdout,\n"
    "until it ends. 0: all was taken; 1: it was not; 2: wrong usage.\n";
constexpr std::uint32_t kMaxPort = 0xFFFFFFFE;  // the last number stands for "any" (vsock(7))
constexpr std::size_t kPiece = std::size_t{64} << 10;

struct Wish {
    bool answer = false;
    std::string port;
};

int complain(std::string_view what) {
    write_all(2, text("vsock-send: ", what, "\n"));
    return 1;
}

bool parse(int argc, char** argv, Wish& wish) {
    const char* named = getenv("VMETTE_VSOCK_PORT");
    wish.port = named != nullptr ? named : "";
    int operands = 0;
    for (int i = 1; i < argc; ++i) {
        std::string_view word = argv[i];
        if (word == "-a" || word == "--answer") {
            wish.answer = true;
        } else if (word.starts_with('-') || ++operands > 1) {
            return false;
        } else {
            wish.port = word;
        }
    }
    return true;
}

Outcome<Fd> connect_to_host(const std::string& port) {
    std::uint64_t number = 0;
    if (port.empty()) return fail("this run has no port to the host (vm.vsock = false)");
    if (!parse_number(port, kMaxPort, number) || number == 0) return fail("\"", port, "\" is no port");
    const std::string path = call_socket(static_cast<std::uint32_t>(number));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.c_str(), path.size() + 1);
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("make a socket");
    int done = 0;
    do done = connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    while (done != 0 && errno == EINTR);
    if (done != 0 && errno == ENOENT) return fail("nobody listens on the host's port ", number);
    if (done != 0) return fail_errno("port ", number);
    return socket;
}

/// Copies stdin to the socket and, meanwhile, the host's answer to stdout.
class Transfer {
public:
    Transfer(int socket, bool answer) : socket_(socket), answer_(answer) {}

    int run() {
        const char kind = static_cast<char>(answer_ ? CallKind::answer : CallKind::send);
        put(std::string_view(&kind, 1));
        while (!over_) {
            // What one call can hold is held: no more is read from stdin before that is off.
            pollfd ready[] = {
                {input_open_ && held_.empty() ? 0 : -1, POLLIN, 0},
                {socket_, static_cast<short>((answer_open_ ? POLLIN : 0) | (held_.empty() ? 0 : POLLOUT)), 0}};
            if (poll(ready, 2, -1) < 0) continue;
            if (ready[0].revents != 0) read_input();
            if (!over_ && (ready[1].revents & POLLOUT) != 0) put({});
            if (!over_ && (ready[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) read_answer();
            if (!over_ && !input_open_ && held_.empty() && !answer_open_) end(0);
        }
        return result_;
    }

private:
    /// As much as the socket takes; the rest is held. When nobody takes it, all that is left is to hear the answer.
    void put(std::string_view more) {
        held_.append(more);
        while (!held_.empty()) {
            ssize_t n = send(socket_, held_.data(), held_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return;
            if (n < 0) {
                refused_ = true;
                input_open_ = false;
                held_.clear();
                return;
            }
            held_.erase(0, static_cast<std::size_t>(n));
        }
        if (!input_open_) shutdown(socket_, SHUT_WR);
    }

    void read_input() {
        char buffer[kPiece];
        ssize_t n = read(0, buffer, sizeof buffer);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (n < 0) {
            end(complain(text("stdin: ", describe_errno(errno))));
            return;
        }
        if (n == 0) input_open_ = false;
        put(std::string_view(buffer, static_cast<std::size_t>(n)));
    }

    void read_answer() {
        char buffer[kPiece];
        ssize_t n = recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (n > 0 && answer_) {
            if (!write_all(1, std::string_view(buffer, static_cast<std::size_t>(n))))
                end(complain(text("stdout: ", describe_errno(errno))));
            return;
        }
        if (n == 1 && buffer[0] == kAllTaken) {
            end(0);
            return;
        }
        // The host may end its answer first, and still listen. A second end is that of the connection.
        if (n == 0 && answer_ && answer_open_ && !refused_) {
            answer_open_ = false;
            return;
        }
        end(complain("the host's end was closed before it had taken everything"));
    }

    void end(int result) {
        over_ = true;
        result_ = result;
    }

    const int socket_;
    const bool answer_;
    bool input_open_ = true, answer_open_ = true, refused_ = false, over_ = false;
    int result_ = 0;
    std::string held_;  ///< of stdin, not yet taken by the socket
};

}  // namespace

bool is_send_tool(std::string_view name) {
    const std::size_t slash = name.rfind('/');
    return (slash == name.npos ? name : name.substr(slash + 1)) == kSendTool;
}

int run_send_tool(int argc, char** argv) {
    Wish wish;
    if (!parse(argc, argv, wish)) {
        write_all(2, kUsage);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    auto socket = connect_to_host(wish.port);
    if (!socket) return complain(socket.error());
    return Transfer(socket->get(), wish.answer).run();
}

}  // namespace vmette::guest
