#include "rootfs/download.h"

#include <fcntl.h>
#include <unistd.h>

#include "rootfs/report.h"
#include "rootfs/worker_client.h"

namespace vmette::rootfs {
namespace {

std::filesystem::path part_path(const UrlSource& source, const Layout& layout) {
    return layout.downloads_dir() / (source.key() + ".part");
}

std::filesystem::path state_path(const UrlSource& source, const Layout& layout) {
    return layout.downloads_dir() / (source.key() + ".state");
}

Fields request_fields(const UrlSource& source, const std::string& validator, const Context& context) {
    return {{"url", source.url},
            {"max_bytes", std::to_string(context.limits.max_download)},
            {"stall", std::to_string(context.limits.stall.count())},
            {"total", std::to_string(context.limits.total.count())},
            {"ca_certs", context.ca_certs.string()},
            {"validator", validator}};
}

/// The worker's messages are predicates about the URL.
Error about(const UrlSource& source, Error error) {
    bool predicate = error.code == ErrorCode::network || error.code == ErrorCode::bad_input;
    if (predicate) error.message = source.url + " " + error.message;
    return error;
}

}  // namespace

Result<std::optional<Downloaded>> download(const UrlSource& source, const std::string& validator,
                                           const Context& context) {
    VMETTE_CHECK_OK(make_cache_dir(context.layout.downloads_dir()));
    VMETTE_TRY(Fd part, open_file(part_path(source, context.layout), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    VMETTE_TRY(Fd state, open_file(state_path(source, context.layout), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    VMETTE_TRY(auto request, make_pipe());
    std::string text = encode_fields(request_fields(source, validator, context));
    // Not as an argument: a URL may hold a token, and arguments are there for all to see.
    if (text.size() > kMaxReportLine) return fail(ErrorCode::bad_input, "the URL is too long");
    VMETTE_CHECK_OK(write_all(request[1].get(), text));
    request[1].reset();
    VMETTE_TRY(Worker worker,
               Worker::start({"fetch"}, request[0].get(), {{part.get(), kWorkerOutput}, {state.get(), kWorkerState}}));
    auto progress = [&](const ProgressLine& line) {
        if (context.progress) context.progress(Progress{"download", line.done, line.total});
    };
    worker.on_notice([&](const std::string& notice) {
        if (context.notice) context.notice(source.url + " " + notice);
    });
    auto done = worker.run([]() -> Result<int> { return -1; }, progress, context.cancelled);
    if (!done) return Failure(about(source, done.error()));
    if ((*done)["unchanged"] == "1") return std::optional<Downloaded>();
    VMETTE_TRY(Fd file, open_file(part_path(source, context.layout), O_RDONLY));
    return Downloaded{std::move(file), (*done)["validator"]};
}

void forget_download(const UrlSource& source, const Layout& layout) {
    ::unlink(state_path(source, layout).c_str());
    ::unlink(part_path(source, layout).c_str());
}

}  // namespace vmette::rootfs
