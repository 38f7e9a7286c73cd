#include "cli/vmette_process.h"

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include <gtest/gtest.h>

#include "base/fd.h"

namespace vmette::cli {
namespace {

constexpr std::chrono::seconds kLimit{60};
constexpr std::size_t kMostOutput = 8 << 20;

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

std::string vmette_binary() {
    const char* path = ::getenv("VMETTE_BINARY");
    return path != nullptr ? path : "./vmette";
}

VmetteHome::VmetteHome() : home_(TempDir::make().value()) {
    const char* search_path = ::getenv("PATH");
    environment_ = {"HOME=" + home_.path().string(), "VMETTE_ASSETS_DIR=" + path("assets"),
                    "PATH=" + std::string(search_path != nullptr ? search_path : "/usr/bin:/bin"),
                    "V=" + std::filesystem::absolute(vmette_binary()).string()};
    std::filesystem::create_directory(home_.path() / "assets");
    write("assets/vmlinux", "kernel");
    write("assets/initramfs.cpio", "initramfs");
    write("assets/assets.json", "{}");
}

ProcessSpec VmetteHome::spec(std::vector<std::string> argv) const {
    ProcessSpec result;
    result.argv = std::move(argv);
    result.environment = environment_;
    result.directory = home_.path();
    return result;
}

Finished VmetteHome::run(const std::vector<std::string>& words, const std::string& input) const {
    std::vector<std::string> argv{std::filesystem::absolute(vmette_binary()).string()};
    argv.insert(argv.end(), words.begin(), words.end());
    auto process = spec(std::move(argv));
    Fd stdin_file;
    if (!input.empty()) {
        stdin_file = open_file(write("stdin", input), O_RDONLY).value();
        process.descriptors.emplace_back(stdin_file.get(), 0);
    }
    auto captured = run_captured(std::move(process), kLimit, kMostOutput);
    if (!captured) {
        ADD_FAILURE() << captured.error().text();
        return {};
    }
    return {exit_code(captured->status), captured->out, captured->err};
}

Finished VmetteHome::shell(const std::string& script) const {
    auto captured = run_captured(spec({"bash", "-c", script}), kLimit, kMostOutput);
    if (!captured) {
        ADD_FAILURE() << captured.error().text();
        return {};
    }
    return {exit_code(captured->status), captured->out, captured->err};
}

Finished VmetteHome::run_on_terminal(const std::vector<std::string>& words, unsigned short columns) const {
    winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    int main_end = -1;
    int far_end = -1;
    if (::openpty(&main_end, &far_end, nullptr, nullptr, &size) != 0) {
        ADD_FAILURE() << "openpty failed";
        return {};
    }
    Fd ours(main_end);
    Fd theirs(far_end);
    std::vector<std::string> argv{std::filesystem::absolute(vmette_binary()).string()};
    argv.insert(argv.end(), words.begin(), words.end());
    auto process = spec(std::move(argv));
    process.descriptors = {{theirs.get(), 1}, {theirs.get(), 2}};
    auto child = spawn(process);
    theirs.reset();
    if (!child) {
        ADD_FAILURE() << child.error().text();
        return {};
    }
    Finished finished;
    std::array<char, 4096> buffer;
    // Reading fails with EIO once the last one at the far end has gone.
    for (ssize_t count = 0; (count = ::read(ours.get(), buffer.data(), buffer.size())) > 0;)
        finished.out.append(buffer.data(), static_cast<std::size_t>(count));
    if (auto status = child->wait_for(kLimit)) finished.code = exit_code(*status);
    return finished;
}

std::string VmetteHome::write(const std::string& name, const std::string& text) const {
    auto file = open_file(path(name), O_WRONLY | O_CREAT | O_TRUNC).value();
    EXPECT_TRUE(write_all(file.get(), text));
    return path(name);
}

void VmetteHome::set_environment(const std::string& name, const std::string& value) {
    environment_.push_back(name + "=" + value);
}

Layout VmetteHome::layout() const {
    Layout layout;
    layout.cache = home_.path() / ".cache/vmette";
    layout.state = home_.path() / ".local/state/vmette";
    layout.config = home_.path() / ".config/vmette";
    layout.runtime = layout.state / "run";
    return layout;
}

}  // namespace vmette::cli
