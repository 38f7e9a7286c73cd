/// What a command may take of the machine, and the figures of it.

#include "guest/fixture.h"

namespace vmette::guest_test {
namespace {

class LimitsTest : public GuestTest {};

TEST_F(LimitsTest, CommandThatEatsAllMemoryIsKilledWholeAndSaid) {
    ASSERT_NO_FATAL_FAILURE(boot());
    CommandResult result =
        run(*machine_, shell("mount -o remount,size=100% /dev/shm; cat /dev/zero > /dev/shm/x; echo survived"));
    ASSERT_TRUE(result.exited) << machine_->console();
    EXPECT_TRUE(result.exited->oom);
    EXPECT_TRUE(result.exited->signaled);
    EXPECT_EQ(result.exited->code, 9U);
    EXPECT_EQ(result.out, "");
    wire::Usage usage = finish();
    EXPECT_GE(usage.oom_kills, 1U);
    EXPECT_GT(usage.peak_memory_bytes, 150ULL << 20);
    EXPECT_LE(usage.peak_memory_bytes, hello_.memory_bytes - (32 << 20) + 4096);
}

TEST_F(LimitsTest, ForkBombDoesNotStopTheBeats) {
    ASSERT_NO_FATAL_FAILURE(boot());
    machine_->send(Type::exec, 1, wire::encode(shell("bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 60")));
    int before = machine_->beats();
    while (machine_->next(Milliseconds(3000))) {
    }
    EXPECT_GE(machine_->beats() - before, 6);
    EXPECT_THAT(finish().warnings, ::testing::IsEmpty());
}

TEST_F(LimitsTest, ProcessesAreBounded) {
    setup_.pids = 10;
    ASSERT_NO_FATAL_FAILURE(boot());
    CommandResult result =
        run(*machine_, shell("cat /sys/fs/cgroup/command/pids.max; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do"
                             " sleep 100 & done; echo not reached"));
    EXPECT_THAT(result.out, ::testing::StartsWith("10\n"));
    EXPECT_THAT(result.out, ::testing::Not(::testing::HasSubstr("not reached")));
    EXPECT_THAT(result.err, ::testing::HasSubstr("fork"));
}

TEST_F(LimitsTest, TimeOfTheProcessorIsCounted) {
    ASSERT_NO_FATAL_FAILURE(boot());
    output_of("i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done");
    EXPECT_GT(finish().cpu_us, 10'000U);
}

TEST_F(LimitsTest, FinishKillsWhatIsLeft) {
    ASSERT_NO_FATAL_FAILURE(boot());
    output_of("for i in 1 2 3; do sleep 1000 & done; echo started");
    EXPECT_THAT(finish().warnings, ::testing::IsEmpty());
}

}  // namespace
}  // namespace vmette::guest_test
