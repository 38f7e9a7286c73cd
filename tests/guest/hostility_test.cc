/// A guest that fights: whatever the command does, init answers.

#include "guest/fixture.h"

namespace vmette::guest_test {
namespace {

class HostilityTest : public GuestTest {
protected:
    void expect_alive() {
        int before = machine_->beats();
        while (machine_->next(Milliseconds(2000))) {
        }
        EXPECT_GE(machine_->beats() - before, 4) << machine_->console();
    }
};

TEST_F(HostilityTest, FloodedConsoleDoesNotStopTheBeats) {
    ASSERT_NO_FATAL_FAILURE(boot());
    machine_->send(Type::exec, 1, wire::encode(shell("yes > /dev/console & yes > /dev/kmsg & sleep 60")));
    expect_alive();
}

TEST_F(HostilityTest, PortCannotBeTakenFromInit) {
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_EQ(output_of("echo frame > /dev/vport0p1 2>/dev/null || echo refused; ls /dev | grep -c vport"),
              "refused\n1\n");
}

TEST_F(HostilityTest, InitDoesNotDieOfSignals) {
    ASSERT_NO_FATAL_FAILURE(boot());
    output_of("for s in 1 2 3 6 9 11 13 15; do kill -$s 1; done");
    expect_alive();
}

TEST_F(HostilityTest, MountsOverInitsFilesDoNotSpoilTheFigures) {
    ASSERT_NO_FATAL_FAILURE(boot());
    output_of(
        "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; mount -t tmpfs none /sys; mount -t tmpfs none /proc");
    wire::Usage usage = finish();
    EXPECT_GT(usage.cpu_us, 10'000U);
    EXPECT_GT(usage.peak_memory_bytes, 0U);
}

}  // namespace
}  // namespace vmette::guest_test
