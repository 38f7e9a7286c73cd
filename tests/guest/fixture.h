#pragma once
/// A booted guest with a busybox root, for tests of what happens inside.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/image.h"
#include "guest/machine.h"

namespace vmette::guest_test {

using wire::FailureKind;
using wire::Type;

class GuestTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto assets = find_assets();
        if (!assets) GTEST_SKIP() << assets.error().text();
        assets_ = *assets;
        if (!find_program("qemu-system-x86_64")) GTEST_SKIP() << "qemu-system-x86_64 is not installed";
        auto written = write_root(root());
        if (!written) GTEST_SKIP() << written.error().text();
        setup_.run_id = "r1";
        setup_.hostname = "box";
        setup_.root = static_cast<std::uint8_t>(wire::RootKind::block);
        setup_.root_serial = "root";
        setup_.upper = static_cast<std::uint8_t>(wire::UpperKind::tmpfs);
        setup_.unix_time_ns = 1'900'000'000'000'000'000;
        setup_.entropy = std::string(64, 'e');
        setup_.memory_reserve = 32 << 20;
        setup_.pids = 256;
    }

    std::filesystem::path root() const { return folder_.path() / "root"; }

    /// Packs the root and starts the machine; hello is left to be read.
    void start() {
        auto packed = pack(root(), folder_.path() / "root.squashfs");
        ASSERT_TRUE(packed) << packed.error().text();
        options_.disks.insert(options_.disks.begin(), TestDisk{"root", folder_.path() / "root.squashfs", true});
        auto machine = Machine::start(assets_, options_);
        ASSERT_TRUE(machine) << machine.error().text();
        machine_ = std::move(*machine);
    }

    void start_and_greet() {
        ASSERT_NO_FATAL_FAILURE(start());
        auto hello = machine_->next(Milliseconds(30000));
        ASSERT_TRUE(hello) << machine_->console();
        ASSERT_EQ(hello->type, Type::hello);
        ASSERT_TRUE(wire::decode(hello->payload, hello_));
    }

    /// Boots to ready.
    void boot() {
        ASSERT_NO_FATAL_FAILURE(start_and_greet());
        machine_->send(Type::setup, 0, wire::encode(setup_));
        auto ready = machine_->next();
        ASSERT_TRUE(ready) << machine_->console();
        ASSERT_EQ(ready->type, Type::ready) << failure_of(*ready).message;
        ASSERT_TRUE(wire::decode(ready->payload, ready_));
    }

    /// Boots to the failure of the set-up.
    wire::Failure boot_to_failure() {
        start_and_greet();
        if (HasFatalFailure()) return {};
        machine_->send(Type::setup, 0, wire::encode(setup_));
        auto frame = machine_->next();
        if (!frame || frame->type != Type::failed) ADD_FAILURE() << "the set-up did not fail\n" << machine_->console();
        return frame ? failure_of(*frame) : wire::Failure{};
    }

    static wire::Failure failure_of(const Frame& frame) {
        wire::Failure failure;
        if (frame.type == Type::failed) wire::decode(frame.payload, failure);
        return failure;
    }

    /// The stdout of a script, which must exit with 0.
    std::string output_of(std::string_view script) {
        CommandResult result = run(*machine_, shell(script), next_stream_++);
        EXPECT_TRUE(result.exited && result.exited->code == 0)
            << script << "\n"
            << result.out << result.err << (result.failure ? result.failure->message : "");
        return result.out;
    }

    wire::Usage finish() {
        machine_->send(Type::finish, 0, wire::encode(wire::Finish{}));
        wire::Usage usage;
        // What commands still had to say may come first.
        auto frame = machine_->next();
        while (frame && frame->type != Type::finished) frame = machine_->next();
        EXPECT_TRUE(frame && wire::decode(frame->payload, usage)) << machine_->console();
        return usage;
    }

    Assets assets_;
    ScratchFolder folder_;
    MachineOptions options_;
    wire::Setup setup_;
    std::unique_ptr<Machine> machine_;
    wire::GuestHello hello_;
    wire::Ready ready_;
    std::uint16_t next_stream_ = 100;
};

}  // namespace vmette::guest_test
