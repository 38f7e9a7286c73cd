#include "scheduler/artifact_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/layout.h"
#include "base/text.h"
#include "base/units.h"

namespace vmette::scheduler {
namespace {

std::string files(std::uint64_t count) { return count == 1 ? "a file" : fmt::format("{} files", count); }

}  // namespace

ArtifactFiles::ArtifactFiles(std::filesystem::path folder, const std::vector<manifest::Artifact>& wanted,
                             std::function<void()> on_over)
    : folder_(std::move(folder)), wanted_(wanted), on_over_(std::move(on_over)) {}

vm::ArtifactRequest ArtifactFiles::request() {
    vm::ArtifactRequest request;
    for (const auto& artifact : wanted_) request.wishes.push_back({artifact.path, artifact.max});
    request.sink = this;
    return request;
}

void ArtifactFiles::give_up(std::string problem) {
    if (over_) return;
    problems_.push_back("artifacts are not whole: " + std::move(problem));
    over_ = true;
    on_over_();
}

void ArtifactFiles::fail_here(const Error& error) { give_up(error.text()); }

Result<> ArtifactFiles::enter(const std::string& folder) {
    if (!top_) {
        VMETTE_CHECK_OK(make_private_dir(folder_));
        VMETTE_TRY(top_, open_file(folder_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    } else if (parent_ && folder == parent_path_) {
        return {};
    }
    VMETTE_TRY(Fd at, duplicate(top_.get()));
    for (std::string_view rest = folder; !rest.empty();) {
        std::string part(rest.substr(0, rest.find('/')));
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        if (::mkdirat(at.get(), part.c_str(), 0700) == 0) {
            if (++folders_made_ > kMaxArtifactFolders)
                return fail(ErrorCode::bad_input, "they lie in more than {} folders", kMaxArtifactFolders);
        } else if (errno != EEXIST) {
            return fail_errno("mkdir " + harmless_line(part));
        }
        Fd next(::openat(at.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!next && (errno == ENOTDIR || errno == ELOOP))
            return fail(ErrorCode::protocol, "the guest sent an artifact below another one that is a file");
        if (!next) return fail_errno("open " + harmless_line(part));
        at = std::move(next);
    }
    parent_ = std::move(at);
    parent_path_ = folder;
    return {};
}

Result<> ArtifactFiles::begin(std::string_view path, std::uint64_t) {
    if (over_) return {};
    std::size_t slash = path.rfind('/');
    std::string folder(slash == path.npos ? "" : path.substr(0, slash));
    std::string name(slash == path.npos ? path : path.substr(slash + 1));
    if (auto entered = enter(folder); !entered) {
        if (entered.error().code == ErrorCode::protocol) return entered;
        fail_here(entered.error());
        return {};
    }
    int fd = ::openat(parent_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return fail(ErrorCode::protocol, "the guest sent an artifact twice: {}", harmless_line(path, 200));
    if (fd < 0) {
        Failure failure = fail_errno("make " + harmless_line(name, 200));
        fail_here(failure.error());
        return {};
    }
    open_.emplace(Open{std::string(path), Fd(fd), Sha256(), 0});
    return {};
}

void ArtifactFiles::data(std::string_view bytes) {
    received_ += bytes.size();
    if (!open_ || over_) return;
    if (auto written = write_all(open_->file.get(), bytes); !written)
        return fail_here(written.error().because("write " + harmless_line(open_->path, 200)));
    open_->digest.update(bytes);
    open_->bytes += bytes.size();
}

void ArtifactFiles::end() {
    if (!open_ || over_) return;
    // Some file systems say only now that there is no room.
    if (::close(open_->file.release()) != 0) {
        Failure failure = fail_errno("write " + harmless_line(open_->path, 200));
        return fail_here(failure.error());
    }
    records_.push_back({'/' + open_->path, open_->bytes, open_->digest.hex()});
    open_.reset();
}

void ArtifactFiles::abandon(std::string_view) {
    // The report counts it, with an example; what there is of it goes.
    if (!open_) return;
    std::string name = open_->path.substr(open_->path.rfind('/') + 1);
    ::unlinkat(parent_.get(), name.c_str(), 0);
    open_.reset();
}

void ArtifactFiles::lost(std::string_view why, const vm::ArtifactLoss& loss) {
    if (loss.files == 0) return;
    std::string size = loss.bytes > 0 ? fmt::format(" ({})", human_size(loss.bytes)) : "";
    problems_.push_back(
        fmt::format("artifacts: {}{} not copied, {}, such as /{}", files(loss.files), size, why, loss.example));
}

void ArtifactFiles::report(const vm::ArtifactSummary& summary) {
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
        std::string pattern = harmless_line(wanted_[i].path, 200);
        lost(fmt::format("beyond the {} of \"{}\"", human_size(wanted_[i].max), pattern), summary.beyond[i]);
        bool nothing = summary.matched[i] == 0 && summary.beyond[i].files == 0;
        if (nothing) problems_.push_back(fmt::format("artifacts: nothing to copy at \"{}\"", pattern));
    }
    lost("being no regular files", summary.irregular);
    lost("for names that are too long, too deep or not printable", summary.unnamable);
    lost("which could not be read", summary.unreadable);
    if (summary.gave_up) problems_.emplace_back("artifacts: there was too much to search, and not all was looked at");
    if (over_) return;
    over_ = true;
    on_over_();
}

void ArtifactFiles::cut() { give_up("the guest ended without handing them all out"); }

void ArtifactFiles::close() {
    if (!over_) give_up("the machine ended first");
    if (open_) abandon({});
    parent_.reset();
    top_.reset();
}

}  // namespace vmette::scheduler
