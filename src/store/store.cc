#include "store/store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "store/impl.h"
#include "store/migrate.h"

namespace vmette::store {
namespace {

/// For a file that was there before us, made under a lax umask or copied.
Result<> keep_private(const std::filesystem::path& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return fail_errno("the history " + path.string());
    if ((info.st_mode & 077) != 0 && info.st_uid == ::geteuid() && ::chmod(path.c_str(), 0600) != 0)
        return fail_errno("make the history private: " + path.string());
    return {};
}

}  // namespace

Result<Store> Store::open(const std::filesystem::path& path, const Clock& clock, Duration busy_limit) {
    VMETTE_TRY(auto database, Database::open(path, Database::Mode::read_write, busy_limit));
    VMETTE_CHECK_OK(migrate(*database, migrations()));
    VMETTE_CHECK_OK(keep_private(path));
    int version = migrations().back().version;
    return Store(std::unique_ptr<Impl>(new Impl{std::move(database), clock, version}));
}

Result<Store> Store::open_read_only(const std::filesystem::path& path, const Clock& clock, Duration busy_limit) {
    VMETTE_TRY(auto database, Database::open(path, Database::Mode::read_only, busy_limit));
    VMETTE_CHECK_OK(require_current(*database, migrations()));
    int version = migrations().back().version;
    return Store(std::unique_ptr<Impl>(new Impl{std::move(database), clock, version}));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

int Store::schema_version() const { return impl_->schema_version; }

Result<std::string> Store::check() {
    Database& database = *impl_->database;
    return database.read([&] {
        Query query(database.prepared("PRAGMA quick_check(10)"));
        std::string found;
        while (query->executeStep()) {
            std::string line = query->getColumn(0).getString();
            std::ranges::replace(line, '\n', ' ');
            if (line != "ok") found += (found.empty() ? "" : "; ") + line;
        }
        return found;
    });
}

std::string prefix_end(std::string_view prefix) {
    std::string end(prefix);
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xFF) end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
}

}  // namespace vmette::store
