/// A batch manifest of 10,000 jobs expanded and validated, share folders looked at, beside a script that expands the
/// same with Python's tomllib, json and csv and validates nothing. Then 10 million jobs, which are refused unmade.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <vector>

#include <fcntl.h>

#include "base/fd.h"
#include "base/process.h"
#include "manifest/batch.h"

namespace vmette::manifest {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kJobs = 10'000;
constexpr int kRounds = 5;

constexpr std::string_view kSandbox = R"([sandbox]
rootfs = "./rootfs"
shares = ["./src:/src:ro"]
[sandbox.env]
LANG = "C.UTF-8"
MODE = "strict"
[sandbox.limits]
memory = "512M"
vcpus = 2
timeout = "10m"
[sandbox.labels]
team = "search"
)";

struct Case {
    std::string name, manifest, rows_file, rows;
};

std::string numbers(int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += fmt::format("{}{}", i == 0 ? "" : ", ", i);
    return "[" + out + "]";
}

std::vector<Case> make_cases() {
    std::string json, csv = "id,prompt\n", tables(kSandbox);
    for (int i = 0; i < kJobs; ++i) {
        json += fmt::format("{{\"id\": {0}, \"prompt\": \"Fix issue {0}: it's \\\"broken\\\"\\nand slow\"}}\n", i);
        csv += fmt::format("{0},\"Fix issue {0}: it's \"\"broken\"\"\nand slow\"\n", i);
        tables += fmt::format("[[job]]\nname = \"j{0}\"\nexec = \"agent {0}\"\n", i);
    }
    std::string job =
        "[[job]]\nname = \"task-{{id}}\"\nexec = \"agent --prompt {{prompt}}\"\nlabels = { task = \"{{id}}\" }\n";
    return {
        {"matrix of 100 × 100",
         fmt::format("{}[[job]]\nname = \"m-{{{{a}}}}-{{{{b}}}}\"\nexec = \"agent --a {{{{a}}}} --b {{{{b}}}}\"\n"
                     "labels = {{ task = \"{{{{a}}}}\" }}\n[job.matrix]\na = {}\nb = {}\n",
                     kSandbox, numbers(100), numbers(100)),
         "", ""},
        {"JSON Lines", fmt::format("{}{}from = \"t.jsonl\"\n", kSandbox, job), "t.jsonl", json},
        {"CSV", fmt::format("{}{}from = \"t.csv\"\n", kSandbox, job), "t.csv", csv},
        {"JSON Lines, a share a job",
         fmt::format("{}{}from = \"t.jsonl\"\nshares = [\"./src/{{{{id}}}}:/src:rw\"]\n", kSandbox, job), "t.jsonl",
         json},
        {"10,000 [[job]] tables", tables, "", ""},
    };
}

void put(const fs::path& path, const std::string& text) {
    auto file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!file || !write_all(file->get(), text)) std::exit((std::perror(path.c_str()), 1));
}

LoadRequest request_of(const fs::path& folder, const std::string& text) {
    LoadRequest request;
    request.sources.push_back({.name = "batch.toml", .folder = folder, .text = text});
    request.home = "/";
    return request;
}

double ours(const LoadRequest& request, std::uint32_t wanted) {
    auto begin = Clock::now();
    auto made = load_batch(request, [](BatchJob&&) -> Result<> { return {}; });
    double took = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    if (made.has_value() == (wanted == 0) || (made && made->jobs != wanted)) {
        std::fprintf(stderr, "expand_bench: not %u jobs\n%s", wanted, made ? "" : render(made.error()).c_str());
        std::exit(1);
    }
    return took;
}

double theirs(const char* script, const fs::path& manifest) {
    auto run = run_captured({.argv = {"python3", script, manifest.native()}}, std::chrono::seconds(60));
    int jobs = 0;
    double took = 0;
    if (!run || !run->ok() || std::sscanf(run->out.c_str(), "%d %lf", &jobs, &took) != 2 || jobs != kJobs) {
        std::fprintf(stderr, "expand_bench: %s\n", run ? run->err.c_str() : run.error().message.c_str());
        std::exit(1);
    }
    return took;
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

int run(const char* script) {
    std::string pattern = (fs::temp_directory_path() / "vmette-expand-XXXXXX").native();
    if (::mkdtemp(pattern.data()) == nullptr) return 1;
    fs::path folder = pattern;
    fs::create_directory(folder / "rootfs");
    for (int i = 0; i < kJobs; ++i) fs::create_directories(folder / "src" / std::to_string(i));
    std::printf("%-28s %12s %14s %12s %8s\n", "10,000 jobs from", "ours, ms", "us a job", "python, ms", "ratio");
    for (const Case& it : make_cases()) {
        put(folder / "batch.toml", it.manifest);
        if (!it.rows_file.empty()) put(folder / it.rows_file, it.rows);
        std::vector<double> our_times, their_times;
        for (int round = 0; round < kRounds; ++round) {
            our_times.push_back(ours(request_of(folder, it.manifest), kJobs));
            their_times.push_back(theirs(script, folder / "batch.toml"));
        }
        double mine = median(our_times), python = median(their_times);
        std::printf("%-28s %12.1f %14.2f %12.1f %7.2fx\n", it.name.c_str(), mine, mine * 1000 / kJobs, python,
                    mine / python);
    }
    std::string huge = fmt::format(
        "{}[[job]]\nname = \"m-{{{{a}}}}-{{{{b}}}}\"\n[job.matrix]\na = {}\nb = {}\nc = {}\nd = [1, 2, 3, 4, 5, 6, 7, "
        "8, 9, 10]\n",
        kSandbox, numbers(100), numbers(100), numbers(100));
    std::printf("10,000,000 jobs refused in %.2f ms\n", ours(request_of(folder, huge), 0));
    struct rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    std::printf("peak memory of all of this: %.1f MiB\n", static_cast<double>(usage.ru_maxrss) / 1024);
    fs::remove_all(folder);
    return 0;
}

}  // namespace
}  // namespace vmette::manifest

int main(int argc, char** argv) { return argc == 2 ? vmette::manifest::run(argv[1]) : 2; }
