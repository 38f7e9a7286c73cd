#include "launch.h"

namespace vmette::guest {

std::vector<std::string> make_environment(const wire::Exec& exec, const Account& account) {
    std::vector<std::string> environment;
    environment.reserve(exec.env.size() + 3);
    auto has = [&exec](std::string_view key) {
        for (const wire::Pair& pair : exec.env)
            if (pair.key == key) return true;
        return false;
    };
    for (const wire::Pair& pair : exec.env) environment.push_back(text(pair.key, "=", pair.value));
    if (!has("PATH")) environment.push_back(text("PATH=", kDefaultPath));
    if (!has("HOME")) environment.push_back(text("HOME=", account.home));
    if (exec.tty && !has("TERM")) environment.push_back("TERM=xterm");
    return environment;
}

}  // namespace vmette::guest
