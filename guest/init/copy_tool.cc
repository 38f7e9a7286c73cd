#include "copy_tool.h"

#include <errno.h>
#include <signal.h>

#include "../copy/pack.h"
#include "../copy/unpack.h"
#include "support.h"

namespace vmette::guest {

namespace {

constexpr std::uint64_t kMaxId = 0xFFFFFFFE;

/// Problems go to the person who copies.
class Complaints final : public copying::Listener {
public:
    void on_problem(const std::string& problem) override { write_all(2, text("vmette: in the run: ", problem, "\n")); }
};

int exit_code(copying::Outcome outcome) {
    switch (outcome) {
        case copying::Outcome::whole:
            return 0;
        case copying::Outcome::partial:
            return 1;
        case copying::Outcome::empty:
            return 3;
        case copying::Outcome::nothing:
            break;
    }
    return 2;
}

bool parse_owner(std::string_view text, copying::UnpackRules& rules) {
    std::uint64_t uid = 0, gid = 0;
    if (!parse_number(take_field(text, ':'), kMaxId, uid) || !parse_number(text, kMaxId, gid)) return false;
    rules.uid = static_cast<uid_t>(uid);
    rules.gid = static_cast<gid_t>(gid);
    return true;
}

int unpack_into(const std::string& destination, const std::string& name, copying::UnpackRules rules) {
    Complaints complaints;
    if (!copying::open_destination(destination, name, rules)) {
        complaints.on_problem(text(destination, ": ", describe_errno(errno)));
        return exit_code(copying::Outcome::nothing);
    }
    // Who is hung up on finds the end of the stream, and leaves no part of a file.
    signal(SIGHUP, SIG_IGN);
    rules.set_owner = true;
    rules.mode_mask = 07777;
    rules.follow_links = true;
    rules.refuse_outside_links = false;
    return exit_code(copying::unpack(0, rules, complaints));
}

}  // namespace

int run_copy_tool(int argc, char** argv) {
    const std::string_view tool = argc > 0 ? argv[0] : "";
    Complaints complaints;
    if (tool == kPackTool && argc == 3) return exit_code(copying::pack(argv[2], 1, complaints));
    copying::UnpackRules rules;
    if (tool == kUnpackTool && argc == 4 && parse_owner(argv[1], rules)) return unpack_into(argv[2], argv[3], rules);
    complaints.on_problem("vmette-init: PID 1 of a vmette guest, and of no use otherwise");
    return 2;
}

}  // namespace vmette::guest
