/// Runs commands in turn, so that a machine that grows slower or faster meanwhile does so for all of them, and prints
/// the median of each with its ratio to the first.
///
///     compare ROUNDS name 'shell command' name 'shell command' …
///
/// Each runs once before, uncounted, to fill caches; not so when ROUNDS is written with a sign (+1), which is for
/// commands that are long enough not to notice.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>

#include "base/process.h"

namespace {

struct Contender {
    std::string name;
    std::string command;
    std::vector<double> milliseconds;

    double at(double quantile) const {
        return milliseconds[static_cast<std::size_t>(quantile * static_cast<double>(milliseconds.size() - 1))];
    }
};

/// Wall time of one run in ms. A command that fails ends the benchmark: its time would mean nothing.
double run_once(const Contender& contender) {
    auto begin = std::chrono::steady_clock::now();
    auto process = vmette::spawn({.argv = {"/bin/sh", "-c", contender.command}});
    auto status = process ? process->wait_for(std::chrono::minutes(5)) : std::nullopt;
    auto end = std::chrono::steady_clock::now();
    if (!status || !WIFEXITED(*status) || WEXITSTATUS(*status) != 0) {
        fmt::print(stderr, "{}: {}\n", contender.name, status ? vmette::describe_status(*status) : "did not end");
        std::exit(1);
    }
    return std::chrono::duration<double, std::milli>(end - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
    int rounds = argc > 1 ? std::atoi(argv[1]) : 0;
    std::vector<Contender> contenders;
    for (int i = 2; i + 1 < argc; i += 2) contenders.push_back({argv[i], argv[i + 1], {}});
    if (rounds < 1 || contenders.empty()) {
        fmt::print(stderr, "usage: compare ROUNDS name 'command' [name 'command' …]\n");
        return 2;
    }
    if (argv[1][0] != '+')
        for (const auto& contender : contenders) run_once(contender);
    for (int round = 0; round < rounds; ++round)
        for (auto& contender : contenders) contender.milliseconds.push_back(run_once(contender));
    for (auto& contender : contenders) std::ranges::sort(contender.milliseconds);
    double base = contenders.front().at(0.5);
    for (const auto& contender : contenders)
        fmt::print("{:<44} {:>9.1f} ms median  {:>9.1f} min {:>9.1f} max  {:>6.2f}x\n", contender.name,
                   contender.at(0.5), contender.at(0), contender.at(1), contender.at(0.5) / base);
    return 0;
}
