#include "vm/net.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "vm/helper_path.h"
#include "vm/helpers/contract.h"
#include "vm/net_rules.h"

namespace vmette::vm {
namespace {

/// A pipe that already holds the rules, ready to be nft's input.
Result<Fd> rules_pipe(const std::string& rules) {
    constexpr std::size_t kPipeHolds = 60 * kKiB;
    if (rules.size() > kPipeHolds)
        return fail(ErrorCode::internal, "the network rules are {} bytes long, more than a pipe holds", rules.size());
    VMETTE_TRY(auto ends, make_pipe());
    VMETTE_CHECK_OK(write_all(ends[1].get(), rules));
    return std::move(ends[0]);
}

Result<std::string> find_tool(const std::string& program, std::string_view package) {
    if (auto path = find_program(program)) return path->string();
    return fail(ErrorCode::not_found, "net.mode = \"nat\" needs {}, which is not installed (Debian package: {})",
                program, package);
}

/// Why the helper, or slirp4netns, is gone.
Error helper_failure(Process& process, LastWords& words, std::string_view what) {
    // The descriptor that told us of its end was closed a moment before the process ended.
    auto status = process.wait_for(std::chrono::seconds(1));
    std::string said = words.take();
    if (said.empty()) said = status ? "the helper " + describe_status(*status) : "the helper says nothing";
    bool unsupported = status && WIFEXITED(*status) && WEXITSTATUS(*status) == helper::kUnsupported;
    return Error{unsupported ? ErrorCode::unsupported : ErrorCode::vm, fmt::format("{}: {}", what, said), nullptr};
}

Result<> limit_receive_time(int socket) {
    timeval limit{.tv_sec = 5, .tv_usec = 0};
    if (::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0)
        return fail_errno("set a socket's time limit");
    return {};
}

}  // namespace

Result<NetNamespace> NetNamespace::start() {
    NetPlan plan;
    VMETTE_TRY(std::string slirp, find_tool("slirp4netns", "slirp4netns"));
    VMETTE_TRY(std::string nft, find_tool("nft", "nftables"));
    VMETTE_TRY(auto helper_program, find_helper("vmette-netns"));
    VMETTE_TRY(plan.host_addresses, host_ipv4_addresses());
    VMETTE_TRY(Fd rules, rules_pipe(nat_rules(plan)));
    VMETTE_TRY(auto handover, make_socketpair());
    VMETTE_CHECK_OK(limit_receive_time(handover[0].get()));
    VMETTE_TRY(auto ready, make_pipe());
    VMETTE_CHECK_OK(set_non_blocking(ready[0].get(), true));
    VMETTE_TRY(auto leash, make_pipe());
    VMETTE_TRY(LastWords words, LastWords::make());

    ProcessSpec spec;
    spec.argv = {helper_program.string(),
                 plan.guest_device,
                 plan.gateway,
                 std::to_string(plan.prefix),
                 std::to_string(plan.mtu),
                 nft,
                 "--"};
    for (auto& argument : slirp_arguments(slirp, plan)) spec.argv.push_back(std::move(argument));
    // It parses what the guest sends: it gets none of the user's environment.
    spec.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    spec.directory = "/";
    spec.descriptors = {{rules.get(), helper::kRulesFd},
                        {words.write_end(), 2},
                        {handover[1].get(), helper::kHandoverFd},
                        {ready[1].get(), helper::kReadyFd},
                        {leash[0].get(), helper::kLeashFd}};
    NetNamespace made;
    VMETTE_TRY(made.process_, spawn(spec));
    words.started();
    handover[1].reset();
    for (Fd* fd : {&made.tap_, &made.network_, &made.user_}) {
        auto received = receive_fd(handover[0].get());
        if (!received) return Failure(helper_failure(made.process_, words, "cannot make the guest's network"));
        *fd = std::move(*received);
    }
    made.settings_ = {plan.guest_address, plan.gateway, plan.gateway, kGuestMac, plan.prefix, plan.mtu};
    made.words_ = std::move(words);
    made.ready_ = std::move(ready[0]);
    made.leash_ = std::move(leash[1]);
    return made;
}

Result<> NetNamespace::joined() {
    char byte = 0;
    ssize_t n = -1;
    do {
        n = ::read(ready_.get(), &byte, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1) return {};
    if (n < 0) return fail(ErrorCode::internal, "the network was asked whether it had come up before it said anything");
    return Failure(helper_failure(process_, words_, "the guest's network did not come up"));
}

}  // namespace vmette::vm
