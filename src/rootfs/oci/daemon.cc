#include "rootfs/oci/daemon.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/bounded_json.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/report.h"
#include "rootfs/worker_client.h"

namespace vmette::rootfs::oci {
namespace {

using nlohmann::json;

constexpr std::string_view kUnix = "unix://";
constexpr std::size_t kMaxShown = 400;
/// A daemon prepares the whole archive before its first byte: minutes for a large image on a slow disk.
constexpr int kSavePatience = 10;

std::string variable(const char* name) {
    const char* value = ::getenv(name);
    return value != nullptr ? value : "";
}

/// Nothing when it takes a connection, else why not.
std::string why_silent(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path) return "its path is too long for a socket";
    std::memcpy(address.sun_path, path.c_str(), path.native().size());
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return std::strerror(errno);
    if (!S_ISSOCK(info.st_mode)) return "it is not a socket";
    // Without waiting: one whose backlog is full is not one to wait for.
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return std::strerror(errno);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return std::strerror(errno);
    return "";
}

/// As the path of a URL; the names of images need little.
std::string in_path(std::string_view name) {
    std::string out;
    for (char c : name) out += c == '[' ? "%5B" : c == ']' ? "%5D" : std::string(1, c);
    return out;
}

/// What an image is asked for by.
std::string asked_name(const LocalSource& source) { return source.image ? source.image->text() : source.tag; }

std::string listed_names(const json& document) {
    JsonReader reader(ErrorCode::bad_image);
    std::vector<std::string> names;
    if (const json* images = reader.array(document, "images", ""))
        for (const json& value : *images)
            if (const json* one = reader.element(value, "an image"))
                for (std::string& name : reader.strings(*one, "RepoTags", "an image"))
                    if (name != "<none>:<none>") names.push_back(std::move(name));
    return harmless_line(fmt::format("{}", fmt::join(names, ", ")), kMaxShown);
}

}  // namespace

DaemonPlaces DaemonPlaces::of_process() { return {variable("DOCKER_HOST"), variable("XDG_RUNTIME_DIR")}; }

Result<std::vector<std::filesystem::path>> daemon_sockets(const DaemonPlaces& places) {
    if (!places.docker_host.empty()) {
        if (!places.docker_host.starts_with(kUnix))
            return fail(ErrorCode::unsupported, "DOCKER_HOST is {}, and only unix:// sockets are spoken to",
                        harmless_line(places.docker_host, 120));
        std::filesystem::path path = places.docker_host.substr(kUnix.size());
        if (!path.is_absolute() || path.native().find('\0') != std::string::npos)
            return fail(ErrorCode::bad_input, "DOCKER_HOST is {}, which names no absolute path",
                        harmless_line(places.docker_host, 120));
        return std::vector{path};
    }
    std::vector<std::filesystem::path> sockets{"/var/run/docker.sock"};
    std::filesystem::path runtime = places.xdg_runtime_dir;
    if (runtime.is_absolute()) sockets.push_back(runtime / "docker.sock");
    if (runtime.is_absolute()) sockets.push_back(runtime / "podman/podman.sock");
    sockets.emplace_back("/run/podman/podman.sock");
    return sockets;
}

Result<Daemon> Daemon::find(const DaemonPlaces& places) {
    VMETTE_TRY(auto sockets, daemon_sockets(places));
    std::string reasons;
    for (auto& socket : sockets) {
        std::string reason = why_silent(socket);
        if (reason.empty()) return Daemon(std::move(socket));
        reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", harmless_line(socket.native(), 120), reason);
    }
    return fail(ErrorCode::not_found, "no container daemon answers ({})", reasons);
}

Result<> Daemon::ask(const Question& question, int output, const Context& context) const {
    VMETTE_TRY(auto pipe, make_pipe());
    VMETTE_CHECK_OK(write_all(pipe[1].get(), encode_fields({{"socket", socket_.native()},
                                                            {"path", question.path},
                                                            {"max_bytes", std::to_string(question.max_bytes)},
                                                            {"stall", std::to_string(question.stall.count())},
                                                            {"total", std::to_string(context.limits.total.count())}})));
    pipe[1].reset();
    auto worker = Worker::start({"daemon"}, pipe[0].get(), {{output, kWorkerOutput}});
    // Not as it is: `not_found` would be the daemon's answer.
    if (!worker) return fail(ErrorCode::internal, "{}", worker.error().text());
    auto progress = [&](const ProgressLine& line) {
        if (context.progress) context.progress(Progress{"download", line.done, line.total, {}});
    };
    auto done = worker->run([] { return Result<int>(-1); }, progress, context.cancelled);
    std::string who = fmt::format("the container daemon at {}", harmless_line(socket_.native(), 120));
    if (!done) {
        Error error = done.error();
        if (error.code == ErrorCode::network || error.code == ErrorCode::bad_image)
            error.message = who + ": " + error.message;
        return Failure(std::move(error));
    }
    std::string status = (*done)["status"], message = (*done)["message"];
    if (status == "200") return {};
    return fail(status == "404" ? ErrorCode::not_found : ErrorCode::network, "{} answered {}{}", who, status,
                message.empty() ? "" : fmt::format(" ({})", harmless_line(message, kMaxShown)));
}

Result<std::string> Daemon::ask_document(const std::string& path, const Context& context) const {
    Fd body(::memfd_create("answer", MFD_CLOEXEC));
    if (!body) return fail_errno("memfd_create");
    VMETTE_CHECK_OK(ask({path, kMaxDocument, context.limits.stall}, body.get(), context));
    if (::lseek(body.get(), 0, SEEK_SET) != 0) return fail_errno("lseek");
    return read_all(body.get(), kMaxDocument, "the daemon's answer");
}

/// For the message that an image is not among them: nothing when that cannot be had either.
std::string Daemon::images_there(const Context& context) const {
    auto text = ask_document("/images/json", context);
    if (!text) return "";
    auto document = parse_json_object(fmt::format("{{\"images\":{}}}", *text), {kMaxDocument + 16, kMaxNesting},
                                      ErrorCode::bad_image);
    return document ? listed_names(*document) : "";
}

Result<std::string> Daemon::image_id(const LocalSource& source, const Context& context) const {
    std::string name = asked_name(source);
    auto text = ask_document("/images/" + in_path(name) + "/json", context);
    if (!text && text.error().code == ErrorCode::not_found) {
        std::string there = images_there(context);
        return fail(ErrorCode::not_found, "the container daemon at {} has no image {} (there are: {})",
                    harmless_line(socket_.native(), 120), name, there.empty() ? "none with a name" : there);
    }
    if (!text) return Failure(text.error());
    auto wrong = [&](std::string_view why) {
        return fail(ErrorCode::bad_image, "the container daemon at {}: what it says of {} {}",
                    harmless_line(socket_.native(), 120), name, why);
    };
    auto document = parse_json_object(*text, {kMaxDocument, kMaxNesting}, ErrorCode::bad_image);
    if (!document) return wrong(document.error().message);
    JsonReader reader(ErrorCode::bad_image);
    std::string id = reader.string(*document, "Id", "");
    if (auto read = reader.result(); !read) return wrong(read.error().message);
    // Podman leaves the algorithm out.
    if (id.find(':') == id.npos) id = "sha256:" + id;
    if (!is_digest(id)) return wrong("holds no \"Id\" that is one");
    return id;
}

Result<Fd> Daemon::save(const std::string& id, const Context& context) const {
    VMETTE_TRY(StagedImage archive, StagedImage::create(context.layout));
    auto saved = ask({"/images/" + id + "/get", context.limits.max_unpacked, kSavePatience * context.limits.stall},
                     archive.fd(), context);
    if (!saved) return Failure(name_full_cache(saved.error(), "an image came from the container daemon"));
    return duplicate(archive.fd());
}

}  // namespace vmette::rootfs::oci
