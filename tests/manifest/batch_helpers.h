#pragma once
/// Short ways to load a batch manifest in a test; the files that it names are texts.

#include <sys/mman.h>

#include <map>
#include <string>
#include <vector>

#include <unistd.h>

#include "manifest/batch.h"
#include "manifest/load_helpers.h"

namespace vmette::manifest::testing {

using Files = std::map<std::string, std::string>;  ///< absolute path → text

/// A descriptor that reads as the text.
inline Result<Fd> file_of(const std::string& text) {
    Fd file(::memfd_create("test", MFD_CLOEXEC));
    VMETTE_CHECK_OK(write_all(file.get(), text));
    ::lseek(file.get(), 0, SEEK_SET);
    return file;
}

/// The manifest "/proj/batch.toml". The test's request must not outlive `files`.
inline LoadRequest batch_request(std::string text, const Files& files = {}, std::vector<std::string> set = {}) {
    LoadRequest request = request_of(std::move(text), std::move(set));
    request.sources[0].name = "batch.toml";
    request.open = [&files](const std::filesystem::path& path) -> Result<Fd> {
        auto found = files.find(path.native());
        if (found == files.end()) return fail(ErrorCode::not_found, "{} does not exist", path.native());
        return file_of(found->second);
    };
    return request;
}

struct LoadedBatch {
    Batch batch;
    std::vector<BatchJob> jobs;
    std::string error;

    std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const BatchJob& job : jobs) out.push_back(job.name);
        return out;
    }
    std::string shell(std::size_t job) const { return std::get<ShellCommand>(*jobs.at(job).sandbox.exec).text; }
    std::vector<std::string> argv(std::size_t job) const { return std::get<Argv>(*jobs.at(job).sandbox.exec).words; }
};

inline LoadedBatch load_batch_request(const LoadRequest& request) {
    LoadedBatch out;
    auto made = load_batch(request, [&](BatchJob&& job) -> Result<> {
        out.jobs.push_back(std::move(job));
        return {};
    });
    if (made)
        out.batch = *std::move(made);
    else
        out.error = render(made.error());
    return out;
}

inline LoadedBatch load_batch_text(std::string text, const Files& files = {}, std::vector<std::string> set = {}) {
    return load_batch_request(batch_request(std::move(text), files, std::move(set)));
}

/// With a sandbox that has a root.
inline LoadedBatch load_jobs(const std::string& text, const Files& files = {}) {
    return load_batch_text("sandbox = { rootfs = \"./rootfs\" }\n" + text, files);
}

}  // namespace vmette::manifest::testing
