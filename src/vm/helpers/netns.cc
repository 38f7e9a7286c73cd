/// vmette-netns: makes a guest's network namespace, puts its rules in force, and becomes slirp4netns.
///
///     vmette-netns DEVICE ADDRESS PREFIX MTU NFT -- SLIRP4NETNS ARGUMENT…
///
/// Descriptors it is started with: 0 the rules; 2 messages; 3 a socket on which it sends the tap, the network namespace
/// and the user namespace; those of contract.h for slirp4netns.
///
/// Two processes do this. The child enters the namespaces and ends with nft's verdict; the parent stays outside, where
/// slirp4netns has to run, and becomes it only after that verdict: rules first, then a way out.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <initializer_list>

#include "vm/helpers/contract.h"
#include "vm/helpers/steps.h"

namespace vmette::helper {
namespace {

struct Arguments {
    const char* device;
    const char* address;
    int prefix;
    int mtu;
    const char* nft;
    char** slirp;  ///< ends with a null pointer
};

void send_descriptor(int socket, int fd) {
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1) die("hand a descriptor over");
}

int receive_descriptor(int socket) {
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    // No message: the child has ended and said why.
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&message) == nullptr) return -1;
    int fd = -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

int open_tap(const char* device) {
    const char* hint =
        "; let this user open it (load the module: modprobe tun; mode 0666 is usual), or run vmette as root";
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) die("open /dev/net/tun", hint, kUnsupported);
    ifreq request{};
    // The virtio-net header lets the guest hand over large segments whole, with checksums left to whoever needs them.
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) != 0) die("make the guest's tap device", "", kUnsupported);
    return fd;
}

void bring_up(const Arguments& arguments) {
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0) die("open a control socket");
    ifreq request{};
    strncpy(request.ifr_name, arguments.device, IFNAMSIZ - 1);
    auto* address = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
    address->sin_family = AF_INET;
    if (inet_pton(AF_INET, arguments.address, &address->sin_addr) != 1) die("read the gateway's address");
    if (ioctl(control, SIOCSIFADDR, &request) != 0) die("set the gateway's address");
    address->sin_addr.s_addr = htonl(~0U << (32 - arguments.prefix));
    if (ioctl(control, SIOCSIFNETMASK, &request) != 0) die("set the gateway's netmask");
    request.ifr_mtu = arguments.mtu;
    if (ioctl(control, SIOCSIFMTU, &request) != 0) die("set the guest network's MTU");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(control, SIOCSIFFLAGS, &request) != 0) die("bring the guest's tap device up");
    close(control);
}

/// Ends as nft: 0 once the rules are in force.
[[noreturn]] void make_namespace(const Arguments& arguments, int to_parent, pid_t parent) {
    die_with(parent);
    if (unshare(CLONE_NEWNET) != 0) die("make a network namespace", "", kUnsupported);
    int network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int user = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    if (network < 0 || user < 0) die("open the new namespaces");
    int tap = open_tap(arguments.device);
    for (int fd : {tap, network, user}) send_descriptor(kHandoverFd, fd);
    send_descriptor(to_parent, network);
    close(kHandoverFd);

    // IPv6 goes first, so that the devices never get an address of it. A kernel without it has no such file.
    write_control("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1", /*may_miss=*/true);
    write_control("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1", /*may_miss=*/true);
    write_control("/proc/sys/net/ipv4/ip_forward", "1");
    bring_up(arguments);

    const char* command[] = {arguments.nft, "-f", "-", nullptr};
    execv(arguments.nft, const_cast<char**>(command));
    die("execute nft");
}

/// Puts a descriptor on the number that slirp4netns' arguments name, open across exec.
void place(int fd, int number) {
    // On its own number already, it would stay close-on-exec.
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, number + 1);
    if (copy < 0 || dup2(copy, number) < 0) die("place a descriptor");
}

[[noreturn]] void become_slirp(char** slirp, int network) {
    place(network, kNetworkFd);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) die("open /dev/null");
    place(null, kRulesFd);
    execv(slirp[0], slirp);
    die("execute slirp4netns");
}

int run(const Arguments& arguments) {
    pid_t vmette = getppid();
    // slirp4netns enters namespaces and makes one for its own sandbox, so it too runs in the user namespace, but keeps
    // the host's network.
    become_root();
    die_with(vmette);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) die("make a socket pair");
    pid_t self = getpid();
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) make_namespace(arguments, pair[1], self);
    close(pair[1]);
    // vmette must see the socket's end when the child fails.
    close(kHandoverFd);
    int network = receive_descriptor(pair[0]);
    close(pair[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return WIFEXITED(status) ? WEXITSTATUS(status) : kFailed;
    if (network < 0) return kFailed;
    become_slirp(arguments.slirp, network);
}

}  // namespace
}  // namespace vmette::helper

int main(int argc, char** argv) {
    constexpr int kFixed = 7;
    if (argc <= kFixed || strcmp(argv[kFixed - 1], "--") != 0) {
        dprintf(2, "vmette-netns is started by vmette alone\n");
        return 2;
    }
    return vmette::helper::run({argv[1], argv[2], atoi(argv[3]), atoi(argv[4]), argv[5], argv + kFixed});
}
