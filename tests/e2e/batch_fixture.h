#pragma once
/// Batches over real guests.

#include <map>

#include "e2e/guest_fixture.h"

namespace vmette::testing {

class BatchTest : public GuestTest {
protected:
    /// A small box for every job (busybox, 96 MiB, no scratch disk), `vms` at once, and what `toml` says beside.
    std::filesystem::path batch(const std::string& name, const std::string& toml, int vms = 2) {
        return home().write(
            name + ".toml",
            fmt::format("name = \"{}\"\n[sandbox]\nrootfs = \"squashfs+file://{}\"\nscratch = \"0\"\n[sandbox.limits]\n"
                        "memory = \"96M\"\ntimeout = \"60s\"\nboot_timeout = \"60s\"\n[pool]\nvms = {}\n"
                        "[batch]\nresults = \"{}\"\n{}",
                        name, busybox_image().string(), vms, results().string(), toml));
    }
    std::filesystem::path results() { return home().folder() / "results"; }
    Finished run(const std::filesystem::path& file, std::vector<std::string> flags = {}) {
        flags.insert(flags.begin(), {"batch", "run", file.string()});
        return home().vmette(flags, std::chrono::seconds(120));
    }
    Json show(const std::string& name) { return Json::parse(home().vmette({"batch", "show", name, "--json"}).out); }
    /// Jobs of a batch by name.
    std::map<std::string, Json> jobs(const std::string& name) {
        std::map<std::string, Json> found;
        const Json shown = show(name);
        for (const auto& job : shown["jobs"]) found[job["name"].get<std::string>()] = job;
        return found;
    }
    std::filesystem::path events() { return home().folder() / "events.jsonl"; }
    /// How many commands have begun, by the events.
    std::size_t executions() {
        auto lines = read_file(events(), 16 << 20).value_or("");
        std::size_t count = 0;
        for (std::size_t at = 0; (at = lines.find("\"phase\": \"exec\"", at)) != std::string::npos; ++at) ++count;
        return count;
    }
    std::string result(const std::string& job, const std::string& part) {
        return read_file(results() / job / part, 16 << 20).value_or("(none)");
    }
};

}  // namespace vmette::testing
