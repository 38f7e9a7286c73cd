#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "console.h"
#include "support.h"

namespace vmette::guest {

void load_modules(bool early) {
    std::string list = read_file("/modules.load", std::size_t{64} << 10);
    bool wanted = early;
    for (std::string_view rest = list; !rest.empty();) {
        std::string path(take_field(rest, '\n'));
        if (path == "---") {
            wanted = !wanted;
            continue;
        }
        if (!wanted || path.empty()) continue;
        Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file || (syscall(SYS_finit_module, file.get(), "", 0) != 0 && errno != EEXIST))
            say("cannot load ", path, ": ", describe_errno(errno));
    }
}

}  // namespace vmette::guest
