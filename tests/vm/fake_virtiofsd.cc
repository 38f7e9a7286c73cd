/// Stands for virtiofsd in the tests of shares: says on stderr, in one line, what it may do with the folder it was
/// given.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string flags_of(const std::string& folder) {
    struct statvfs status{};
    if (statvfs(folder.c_str(), &status) != 0) return "?";
    std::string flags = (status.f_flag & ST_RDONLY) != 0 ? "ro" : "rw";
    if ((status.f_flag & ST_NOSUID) != 0) flags += ",nosuid";
    if ((status.f_flag & ST_NODEV) != 0) flags += ",nodev";
    return flags;
}

std::string try_to_write(const std::string& path) {
    int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) return strerrorname_np(errno);
    close(fd);
    return "written";
}

std::string value_of(const char* option, const char* key) {
    const char* found = strstr(option, key);
    if (found == nullptr) return {};
    std::string value = found + strlen(key);
    return value.substr(0, value.find(','));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) return 2;
    int listening = atoi(value_of(argv[1], "--fd=").c_str());
    std::string folder = value_of(argv[4], "source=");
    int accepted = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    dprintf(2, "folder %s %s, submount %s %s, connection %s, environment %s\n", flags_of(folder).c_str(),
            try_to_write(folder + "/new").c_str(), flags_of(folder + "/sub").c_str(),
            try_to_write(folder + "/sub/new").c_str(), accepted >= 0 ? "accepted" : "missing",
            getenv("VMETTE_TEST_SECRET") != nullptr ? "leaked" : "clean");
    return 7;
}
