#include "vm/death.h"

#include <gtest/gtest.h>

#include "vm/console.h"

namespace vmette::vm {
namespace {

/// Wait statuses, as waitpid(2) encodes them.
constexpr int exited(int code) { return code << 8; }
constexpr int killed(int signal) { return signal; }

TEST(DeathTest, PanicIsKnownByTheConsole) {
    Traces traces{.shutdown_reason = "guest-reset", .panic_line = "Kernel panic - not syncing: x"};
    Death death = explain(traces);
    EXPECT_EQ(death.kind, DeathKind::guest_panicked);
    EXPECT_EQ(death.message, "the guest's kernel panicked: Kernel panic - not syncing: x");
}

TEST(DeathTest, PanicIsKnownByItsEventWithoutAMessage) {
    Death death = explain({.shutdown_reason = "guest-panic", .panic_event = true});
    EXPECT_EQ(death.kind, DeathKind::guest_panicked);
    EXPECT_EQ(death.message, "the guest's kernel panicked: it left no message");
}

TEST(DeathTest, KilledQemuIsNoPanicWhateverTheConsoleSaid) {
    Death death = explain({.qemu_status = killed(9), .panic_line = "Kernel panic - not syncing: printed by a command"});
    EXPECT_EQ(death.kind, DeathKind::qemu_exited);
    EXPECT_EQ(death.message, "QEMU was killed by signal 9 (Killed)");
}

TEST(DeathTest, PowerOffIsAReset) {
    Death death = explain({.shutdown_reason = "guest-shutdown"});
    EXPECT_EQ(death.kind, DeathKind::guest_reset);
    EXPECT_EQ(death.message, "the guest powered itself off while its command was not done");
}

TEST(DeathTest, FailedQemuIsToldWithItsLastLine) {
    Death death = explain({.qemu_status = exited(1), .qemu_said = "qemu: no such machine"});
    EXPECT_EQ(death.kind, DeathKind::qemu_exited);
    EXPECT_EQ(death.message, "QEMU exited with code 1: qemu: no such machine");
}

TEST(DeathTest, HelperThatFailedFirstIsTheCause) {
    Death death = explain({.qemu_status = exited(1),
                           .qemu_said = "qemu: Failed to read msg header",
                           .helper_failure = "virtiofsd of share src exited with code 1: no"});
    EXPECT_EQ(death.kind, DeathKind::helper_died);
    EXPECT_EQ(death.message, "virtiofsd of share src exited with code 1: no");
}

TEST(DeathTest, CutFrameIsToldWhenNothingElseExplainsTheEnd) {
    Death death = explain({.cut_frame = "the guest's channel ended inside a frame, after 3 of its bytes"});
    EXPECT_EQ(death.kind, DeathKind::protocol);
    EXPECT_EQ(explain({.shutdown_reason = "guest-reset", .cut_frame = "cut"}).kind, DeathKind::guest_reset);
}

TEST(FindPanicTest, TakesTheLineAndMakesItHarmless) {
    EXPECT_EQ(find_panic("x\r\nKernel panic - not syncing: a\x1b[2Jb\r\nCPU: 0"),
              "Kernel panic - not syncing: a\\x1b[2Jb");
    EXPECT_EQ(find_panic("all is well"), "");
}

}  // namespace
}  // namespace vmette::vm
