/// Feeds bytes to load_batch(): the manifest, then the files that it may name, each after a line "=== NAME". What loads
/// must survive being written out and come back equal, and CSV that is read must survive being quoted again.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string_view>

#include "manifest/batch.h"
#include "manifest/rows.h"

namespace {

using namespace vmette;
using namespace vmette::manifest;

constexpr std::size_t kMostWritten = 64;  ///< jobs: a batch of more is not written out

using Files = std::map<std::string, std::string>;

/// The manifest stands under the empty name.
Files split(std::string_view input) {
    Files files;
    std::string name;
    while (!input.empty()) {
        std::size_t end = std::min(input.find('\n'), input.size() - 1) + 1;
        std::string_view line = input.substr(0, end);
        input.remove_prefix(end);
        if (line.starts_with("=== "))
            name = "/proj/" + std::string(line.substr(4, line.find('\n') - 4));
        else
            files[name] += line;
    }
    return files;
}

LoadRequest request_of(const Files& files, std::string text) {
    LoadRequest request;
    request.sources.push_back({.name = "batch.toml", .folder = "/proj", .text = std::move(text)});
    request.set = {"batch.max_jobs=2000"};
    request.home = "/home/u";
    request.environment = [](const std::string& name) -> std::optional<std::string> {
        if (name == "UNSET") return std::nullopt;
        return name;
    };
    request.open = [&files](const std::filesystem::path& path) -> Result<Fd> {
        auto found = files.find(path.native());
        if (found == files.end()) return fail(ErrorCode::not_found, "{} does not exist", path.native());
        Fd file(::memfd_create("fuzz", MFD_CLOEXEC));
        VMETTE_CHECK_OK(write_all(file.get(), found->second));
        ::lseek(file.get(), 0, SEEK_SET);
        return file;
    };
    request.check_host = false;
    return request;
}

struct Loaded {
    std::expected<Batch, std::vector<Diagnostic>> batch;
    std::vector<BatchJob> jobs;
};

Loaded load_all(const LoadRequest& request) {
    std::vector<BatchJob> jobs;
    auto batch = load_batch(request, [&](BatchJob&& job) -> Result<> {
        jobs.push_back(std::move(job));
        return {};
    });
    return {std::move(batch), std::move(jobs)};
}

std::string written(const Loaded& loaded) {
    std::string text = to_toml(*loaded.batch);
    for (const BatchJob& job : loaded.jobs) {
        std::vector<std::string> needs;
        for (const Need& need : job.needs)
            for (std::uint32_t i = 0; i < loaded.jobs.size(); ++i)
                if (need.group ? loaded.jobs[i].group == need.index : i == need.index)
                    needs.push_back(loaded.jobs[i].name);
        text += to_toml(job, needs);
    }
    return text;
}

void check_manifest(const Files& files, const std::string& text) {
    auto loaded = load_all(request_of(files, text));
    if (!loaded.batch) {
        if (render(loaded.batch.error()).empty()) std::abort();
        return;
    }
    if (loaded.jobs.size() != loaded.batch->jobs) std::abort();
    if (loaded.jobs.size() > kMostWritten) return;
    std::string once = written(loaded);
    if (once.size() > kMaxManifestBytes) return;
    auto again = load_all(request_of({}, once));
    if (!again.batch || again.batch->rules != loaded.batch->rules) std::abort();
    for (std::size_t i = 0; i < loaded.jobs.size(); ++i)
        if (again.jobs.at(i).sandbox != loaded.jobs[i].sandbox) std::abort();
    if (written(again) != once) std::abort();
}

void check_csv(std::string_view record) {
    auto fields = parse_csv_row(record);
    if (!fields) return;
    std::string quoted;
    for (const Field& field : *fields) {
        if (&field != &fields->front()) quoted += ',';
        quoted += '"';
        for (char c : field.value) quoted.append(c == '"' ? 2 : 1, c);
        quoted += '"';
    }
    auto again = parse_csv_row(quoted);
    if (!again || again->size() != fields->size()) std::abort();
    for (std::size_t i = 0; i < fields->size(); ++i)
        if ((*again)[i].value != (*fields)[i].value) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Files files = split({reinterpret_cast<const char*>(data), size});
    check_manifest(files, files[""]);
    for (const auto& [name, text] : files)
        if (name.ends_with(".csv")) check_csv(text);
    return 0;
}
