#pragma once
/// Real guests: the kernel and initramfs of the build tree, and a root filesystem of busybox alone.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/layout.h"
#include "base/process.h"
#include "tests/vm/session_recorder.h"
#include "vm/accel.h"
#include "vm/session.h"

namespace vmette::vm::testing {

class GuestFixture : public ::testing::Test {
protected:
    void SetUp() override {
        assets_ = find_assets();
        if (assets_.empty())
            GTEST_SKIP() << "no guest: neither VMETTE_ASSETS_DIR nor share/vmette/x86_64 of the build tree holds one";
        if (!find_qemu()) GTEST_SKIP() << "QEMU is not installed (package qemu-system-x86)";
        // The helper programs stand in the build tree's top folder.
        if (const char* build = std::getenv("VMETTE_BUILD_DIR")) ::setenv("VMETTE_LIBEXEC_DIR", build, 0);
        auto busybox = find_program("busybox");
        if (!busybox) GTEST_SKIP() << "busybox is not installed (package busybox-static)";
        busybox_ = *busybox;
        auto folder = TempDir::make();
        ASSERT_TRUE(folder) << folder.error().text();
        folder_ = std::make_unique<TempDir>(std::move(*folder));
        layout_ = {folder_->path() / "cache", folder_->path() / "state", folder_->path() / "run", folder_->path()};
        host_ = std::make_unique<SessionHost>(SessionHost{layout_, clock_, ledger_});
    }

    /// A root that is a shared folder: busybox under the names that the tests call.
    std::filesystem::path make_root() {
        auto root = folder_->path() / "root";
        for (const char* name : {"bin", "dev", "proc", "sys", "tmp", "run", "etc", "root"})
            std::filesystem::create_directories(root / name);
        std::filesystem::copy_file(busybox_, root / "bin/busybox");
        for (const char* name : {"sh", "cat", "dd", "echo", "sleep", "true", "df", "ls", "sync", "mount", "head"})
            std::filesystem::create_symlink("busybox", root / "bin" / name);
        return root;
    }

    std::filesystem::path make_image() {
        auto image = folder_->path() / "root.squashfs";
        ProcessSpec spec;
        spec.argv = {"mksquashfs", make_root().string(), image.string(), "-quiet", "-no-progress", "-comp", "gzip"};
        auto made = run_captured(spec, std::chrono::seconds(30));
        EXPECT_TRUE(made && made->ok()) << "mksquashfs (package squashfs-tools) failed";
        return image;
    }

    VmSpec spec() {
        VmSpec out;
        out.run_id = "test";
        out.kernel = assets_ / "vmlinux";
        out.initramfs = assets_ / "initramfs.cpio";
        auto description = read_file(assets_ / "assets.json", 64 * kKiB).value_or("");
        std::erase(description, ' ');
        out.kernel_has_timer_patch = description.contains("\"timer_patch\":true");
        out.kernel_has_mmio_cmdline = description.contains("\"mmio_cmdline\":true");
        out.tsc_khz = measure_tsc_khz(std::chrono::milliseconds(50));
        out.memory_bytes = 256 * kMiB;
        out.root.path = make_image();
        return out;
    }

    /// Starts it and waits for its hello.
    void boot(const VmSpec& spec) {
        auto started = Session::start(io_, *host_, spec, seen_);
        ASSERT_TRUE(started) << started.error().text();
        session_ = std::move(*started);
        seen_.session = session_.get();
        ASSERT_TRUE(run_until(io_, [&] { return seen_.has("hello") || seen_.death; }));
        ASSERT_FALSE(seen_.death) << seen_.death->message << "\n" << seen_.console;
    }

    void set_up(const VmSpec& spec) {
        boot(spec);
        if (HasFatalFailure()) return;
        GuestSetup setup;
        setup.hostname = "guest";
        setup.pids = 256;
        session_->setup(setup);
        ASSERT_TRUE(run_until(io_, [&] { return seen_.has("ready") || seen_.failure || seen_.death; }));
        ASSERT_TRUE(seen_.has("ready")) << (seen_.failure ? seen_.failure->message : seen_.death->message);
    }

    void exec(std::vector<std::string> argv) {
        GuestCommand command;
        command.argv = std::move(argv);
        command.env = {{"PATH", "/bin"}};
        session_->exec(command);
    }

    /// Boots, sets up, runs the shell command to its end.
    void run(const VmSpec& spec, const std::string& script) {
        set_up(spec);
        if (HasFatalFailure()) return;
        exec({"/bin/sh", "-c", script});
        ASSERT_TRUE(run_until(io_, [&] { return seen_.end || seen_.failure || seen_.death; }));
        ASSERT_TRUE(seen_.end) << (seen_.failure ? seen_.failure->message : seen_.death->message);
    }

    std::filesystem::path assets_, busybox_;
    std::unique_ptr<TempDir> folder_;
    Layout layout_;
    SystemClock clock_;
    FakeLedger ledger_;
    std::unique_ptr<SessionHost> host_;
    asio::io_context io_;
    SessionRecorder seen_;
    std::unique_ptr<Session> session_;

private:
    static std::filesystem::path find_assets() {
        if (const char* named = std::getenv("VMETTE_ASSETS_DIR")) return named;
        const char* build = std::getenv("VMETTE_BUILD_DIR");
        if (build == nullptr) return {};
        auto folder = std::filesystem::path(build) / "share/vmette/x86_64";
        return std::filesystem::exists(folder / "assets.json") ? folder : std::filesystem::path();
    }
};

}  // namespace vmette::vm::testing
