#include "manifest/load.h"

namespace vmette::manifest {

std::vector<std::string> not_available_yet(const Sandbox& sandbox) {
    std::vector<std::string> out;
    auto refuse = [&out](bool asked, std::string_view what) {
        if (asked) out.push_back(fmt::format("{} is not available yet", what));
    };
    refuse(sandbox.net.mode == NetMode::allowlist, "net.mode = \"allowlist\"");
    refuse(!sandbox.ports.empty(), "ports");
    for (const Secret& secret : sandbox.secrets) {
        refuse(!secret.file.empty(), fmt::format("secrets.{}.file", secret.name));
        refuse(secret.expose_as_file, fmt::format("secrets.{}.expose = \"file\"", secret.name));
    }
    refuse(!sandbox.snapshot.setup.empty(), "snapshot.setup");
    return out;
}

}  // namespace vmette::manifest
